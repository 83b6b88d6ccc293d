import { Button } from "@chakra-ui/react";
import { Link } from "react-router";
import * as api from "@/api/calls";
import { MoreButton } from "@/components/more-button";
import { Empty, Failure, Waiting } from "@/components/states";
import { unhide } from "@/lib/acts";
import { exactTime } from "@/lib/time";
import { usePages } from "@/lib/use-pages";
import styles from "./library.module.css";

/** What is not recommended, until when, and the way back. */
export function HiddenList() {
  const pages = usePages(["hidden"], () => api.hidden({ limit: 50 }));
  const { items, error, isPending, refetch } = pages;
  if (isPending) return <Waiting n={6} kind="line" label="what is hidden" />;
  if (error && !items) return <Failure error={error} what="What is hidden" onRetry={() => void refetch()} />;
  if (!items?.length) {
    return <Empty title="Nothing is hidden">Hide a track with the key h, or an artist under “Why this, and more” on a card. It comes back when you say so, or after the time you chose.</Empty>;
  }
  return (
    <section className="section" aria-label="Hidden">
      <ul className={styles.hidden}>
        {items.map((entry) => (
          <li key={entry.id}>
            <div>
              {entry.track && <Link to={`/tracks/${encodeURIComponent(entry.track.track_id)}`}>{entry.track.track_name}</Link>}
              {entry.track && <span className="muted"> by {entry.track.artist}</span>}
              {!entry.track && entry.artist && <Link to={`/artists/${entry.artist.artist_id}`}>Everything by {entry.artist.artist}</Link>}
            </div>
            <span className="muted">{entry.until ? `until ${exactTime(entry.until)}` : "until you show it again"}</span>
            <Button
              variant="outline"
              size="sm"
              aria-label={`Show again: ${entry.track?.track_name ?? entry.artist?.artist}`}
              onClick={() => void unhide(entry)}
            >
              Show again
            </Button>
          </li>
        ))}
      </ul>
      <MoreButton pages={pages} />
    </section>
  );
}
