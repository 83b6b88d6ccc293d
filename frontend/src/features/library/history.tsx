import { Button, Input, NativeSelect } from "@chakra-ui/react";
import { useState } from "react";
import { Link } from "react-router";
import * as api from "@/api/calls";
import type { HistoryEntry, Kind } from "@/api/types";
import { MoreButton } from "@/components/more-button";
import { Empty, Failure, Waiting } from "@/components/states";
import { Strategy } from "@/components/strategy";
import { TrackRow, TrackRows } from "@/components/track-row";
import { undoEvent } from "@/lib/acts";
import { ago, exactTime } from "@/lib/time";
import { useDebounced } from "@/lib/use-debounced";
import { usePages } from "@/lib/use-pages";
import styles from "./library.module.css";

const KINDS = ["rating", "like", "dislike", "play", "skip", "save", "hide"];
const WORDS: Record<string, string> = {
  rating: "Rated",
  like: "Liked",
  dislike: "Disliked",
  play: "Played",
  skip: "Skipped",
  save: "Saved",
  hide: "Hid",
};

/** Every response, newest first; each can be undone. */
export function History() {
  const [kind, setKind] = useState<Kind>();
  const [text, setText] = useState("");
  const [since, setSince] = useState("");
  const [until, setUntil] = useState("");
  const q = useDebounced(text.trim());
  const filters = { kind, q, since: dayStart(since), until: dayEnd(until) };
  const pages = usePages(["history", filters], () => api.history({ ...filters, limit: 50 }));
  const { items, error, isPending, refetch } = pages;
  const isFiltered = !!(kind || q || since || until);
  return (
    <section className="section" aria-label="History">
      <div className={styles.filters} role="search" aria-label="Filter the history">
        <Input size="sm" type="search" aria-label="Track or artist" placeholder="Track or artist" value={text} maxLength={100} onChange={({ target }) => setText(target.value)} />
        <NativeSelect.Root size="sm">
          <NativeSelect.Field aria-label="Kind of response" value={kind ?? ""} onChange={({ target }) => setKind((target.value || undefined) as Kind | undefined)}>
            <option value="">Everything</option>
            {KINDS.map((one) => (
              <option key={one} value={one}>
                {WORDS[one]}
              </option>
            ))}
          </NativeSelect.Field>
          <NativeSelect.Indicator />
        </NativeSelect.Root>
        <label>
          from <Input size="sm" type="date" value={since} max={until || undefined} onChange={({ target }) => setSince(target.value)} />
        </label>
        <label>
          to <Input size="sm" type="date" value={until} min={since || undefined} onChange={({ target }) => setUntil(target.value)} />
        </label>
      </div>
      {isPending && <Waiting n={8} kind="line" label="the history" />}
      {error && !items && <Failure error={error} what="The history" onRetry={() => void refetch()} />}
      {items?.length === 0 &&
        (isFiltered ? (
          <Empty title="Nothing fits these filters">Your history has no such response. Fewer filters show more.</Empty>
        ) : (
          <Empty title="No responses yet" action={<Link to="/">Go to your lists</Link>}>
            Everything you do with a track is listed here, and can be undone here.
          </Empty>
        ))}
      {!!items?.length && (
        <TrackRows label="Responses">
          {items.map((entry) => (
            <TrackRow
              key={entry.event_id}
              track={entry.track}
              note={
                <span className={styles.what}>
                  <span data-undone={entry.undone || undefined}>{said(entry)}</span>
                  {entry.strategy && <Strategy strategy={entry.strategy} />}
                  <time dateTime={entry.occurred_at} title={exactTime(entry.occurred_at)}>
                    {ago(entry.occurred_at)}
                  </time>
                </span>
              }
            >
              {!entry.undone && (
                <Button variant="ghost" size="sm" aria-label={`Undo: ${said(entry)} ${entry.track.track_name}`} onClick={() => void undoEvent(entry.event_id, entry.track)}>
                  Undo
                </Button>
              )}
            </TrackRow>
          ))}
        </TrackRows>
      )}
      <MoreButton pages={pages} />
    </section>
  );
}

function said({ kind, rating, completion, undone }: HistoryEntry): string {
  const what = kind === "rating" ? `Rated ${rating}` : (WORDS[kind] ?? kind);
  const share = completion == null ? "" : `, ${Math.round(completion * 100)} % heard`;
  return `${what}${share}${undone ? " (undone)" : ""}`;
}

const dayStart = (day: string) => (day ? new Date(`${day}T00:00:00`).toISOString() : undefined);
const dayEnd = (day: string) => (day ? new Date(`${day}T23:59:59.999`).toISOString() : undefined);
