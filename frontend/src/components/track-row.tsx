import type { ReactNode } from "react";
import { Link } from "react-router";
import type { Track } from "@/api/types";
import { Cover } from "./cover";
import styles from "./track-row.module.css";

/** A track in a line, where many are looked through rather than tasted. */
export function TrackRow({ track, note, children }: { track: Track; note?: ReactNode; children?: ReactNode }) {
  return (
    <li className={styles.row}>
      <div className={styles.cover}>
        <Cover track={track} />
      </div>
      <div className={styles.names}>
        <Link className={styles.title} to={`/tracks/${encodeURIComponent(track.track_id)}`}>
          {track.track_name}
        </Link>
        <span className={styles.artist}>
          {track.artist_id ? <Link to={`/artists/${track.artist_id}`}>{track.artist}</Link> : track.artist}
        </span>
      </div>
      {note && <div className={styles.note}>{note}</div>}
      {children && <div className={styles.acts}>{children}</div>}
    </li>
  );
}

export function TrackRows({ label, children }: { label: string; children: ReactNode }) {
  return (
    <ul className={styles.rows} aria-label={label}>
      {children}
    </ul>
  );
}
