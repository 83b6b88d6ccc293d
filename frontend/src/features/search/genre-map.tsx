import { Link } from "react-router";
import type { Genre } from "@/api/types";
import { hueOf } from "./hue";
import { place } from "./place";
import styles from "./search.module.css";

const WIDTH = 1080;
const HEIGHT = 620;

/** Genres by mood; lines join those that tracks or listeners share.  Below 720 px a list of words. */
export function GenreMap({ genres }: { genres: readonly Genre[] }) {
  const dots = place(genres, { width: WIDTH, height: HEIGHT });
  const by = new Map(dots.map((dot) => [dot.genre, dot]));
  const links = dots.flatMap((dot) =>
    dot.related.flatMap((name) => {
      const other = by.get(name);
      return other && dot.genre < name ? [{ from: dot, to: other }] : [];
    }),
  );
  const sorted = [...genres].sort((a, b) => b.n_tracks - a.n_tracks);
  return (
    <>
      <svg className={`${styles.map} ${styles.wide}`} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="group" aria-label="Map of genres">
        <text className={styles.axis} x={WIDTH - 44} y={HEIGHT - 14}>
          glad →
        </text>
        <text className={styles.axis} x={52} y={24}>
          ↑ energetic
        </text>
        <g className={styles.links} aria-hidden="true">
          {links.map(({ from, to }) => (
            <line key={`${from.genre}–${to.genre}`} x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
          ))}
        </g>
        {dots.map((dot) => (
          <Link key={dot.genre} to={`/genres/${encodeURIComponent(dot.genre)}`} aria-label={`${dot.genre}, ${dot.n_tracks} tracks`}>
            <circle cx={dot.x} cy={dot.y} r={dot.r} fill={`oklch(0.62 0.12 ${hueOf(dot.genre)})`} />
            <text x={dot.x} y={dot.y + 4}>
              {dot.genre}
            </text>
          </Link>
        ))}
      </svg>
      <ul className={`chips ${styles.narrow}`}>
        {sorted.map(({ genre, n_tracks }) => (
          <li key={genre}>
            <Link className="chip" to={`/genres/${encodeURIComponent(genre)}`}>
              {genre} <span className={styles.count}>{n_tracks}</span>
            </Link>
          </li>
        ))}
      </ul>
    </>
  );
}
