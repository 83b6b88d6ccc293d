import { Button } from "@chakra-ui/react";
import { Link } from "react-router";
import * as api from "@/api/calls";
import { MoreButton } from "@/components/more-button";
import { Empty, Failure, Waiting } from "@/components/states";
import { Stars } from "@/components/stars";
import { TrackRow, TrackRows } from "@/components/track-row";
import { respond, undoEvent } from "@/lib/acts";
import { ago, exactTime } from "@/lib/time";
import { usePages } from "@/lib/use-pages";

type State = "saved" | "liked" | "rated";

const NOTHING: Record<State, string> = {
  saved: "Save a track with the bookmark on its card, or with the key s. It stays here until you take it out.",
  liked: "Like a track with the heart on its card, or with the key l. Likes steer your lists at once.",
  rated: "Rate a track from 1 to 5 with the stars on its card, or with the keys 1 to 5.",
};
const UNDO: Record<State, string> = { saved: "Take out", liked: "Take back", rated: "Take back" };

/** Tracks in one state, newest first. */
export function Shelf({ state }: { state: State }) {
  const pages = usePages(["library", state], () => api.library({ state, limit: 50 }));
  const { items, error, isPending, refetch } = pages;
  if (isPending) return <Waiting n={8} kind="line" label={`${state} tracks`} />;
  if (error && !items) return <Failure error={error} what="The library" onRetry={() => void refetch()} />;
  if (!items?.length) {
    return (
      <Empty title={`Nothing ${state} yet`} action={<Link to="/">Go to your lists</Link>}>
        {NOTHING[state]}
      </Empty>
    );
  }
  return (
    <section className="section" aria-label={`${state} tracks`}>
      <TrackRows label={`${state} tracks`}>
        {items.map(({ track, rating, at, event_id }) => track && event_id && (
          <TrackRow key={event_id} track={track} note={<time dateTime={at} title={exactTime(at)}>{ago(at)}</time>}>
            {state === "rated" && (
              <Stars name={track.track_name} value={rating ?? undefined} onRate={(n) => void respond(track, { kind: "rating", rating: n })} />
            )}
            <Button variant="ghost" size="sm" aria-label={`${UNDO[state]}: ${track.track_name}`} onClick={() => void undoEvent(event_id, track)}>
              {UNDO[state]}
            </Button>
          </TrackRow>
        ))}
      </TrackRows>
      <MoreButton pages={pages} />
    </section>
  );
}
