// Degrees in OKLCH, the same as of the covers (recommendations/core/cover.py); a test on the
// server's side holds the two tables together.
import hues from "./genre-hues.json";

const known = hues as Record<string, number>;

/** Return a genre's hue in degrees; genres without one of their own share a quiet one. */
export const hueOf = (genre: string): number => known[genre.toLowerCase()] ?? 80;
