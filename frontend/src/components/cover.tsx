import { useState } from "react";
import type { Track } from "@/api/types";
import styles from "./cover.module.css";

type Covered = Pick<Track, "track_id" | "cover_url">;

/** The catalogue's image, or the cover that the server draws from the track itself. */
export function Cover({ track, isLazy = true }: { track: Covered; isLazy?: boolean }) {
  const drawn = `/tracks/${encodeURIComponent(track.track_id)}/cover.svg`;
  const [failed, setFailed] = useState(false);
  return (
    <img
      className={styles.cover}
      src={failed ? drawn : (track.cover_url ?? drawn)}
      onError={() => setFailed(true)}
      alt=""
      width={200}
      height={200}
      loading={isLazy ? "lazy" : "eager"}
      decoding="async"
      draggable={false}
    />
  );
}
