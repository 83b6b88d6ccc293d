import { useEffect, useState } from "react";
import type { Track } from "@/api/types";
import { mayLoad } from "@/lib/media";
import styles from "./cover.module.css";

type Covered = Pick<Track, "track_id" | "cover_url">;

const TRIES = 4;

/** The catalogue's image, or the cover that the server draws from the track itself. */
export function Cover({ track, isLazy = true }: { track: Covered; isLazy?: boolean }) {
  const [failures, setFailures] = useState(0);
  const [tries, setTries] = useState(0);
  // A busy server turns pictures away before it turns away lists; they are asked for again.
  useEffect(() => {
    if (failures === tries || failures > TRIES) return;
    const timer = setTimeout(() => setTries(failures), 700 * 2 ** (failures - 1));
    return () => clearTimeout(timer);
  }, [failures, tries]);
  const drawn = `/tracks/${encodeURIComponent(track.track_id)}/cover.svg`;
  const given = failures === 0 && mayLoad(track.cover_url) ? track.cover_url : null;
  return (
    <img
      className={styles.cover}
      data-missing={failures > tries || undefined}
      src={given ?? (tries ? `${drawn}?try=${tries}` : drawn)}
      onError={() => setFailures(tries + 1)}
      alt=""
      width={200}
      height={200}
      loading={isLazy ? "lazy" : "eager"}
      decoding="async"
      draggable={false}
    />
  );
}
