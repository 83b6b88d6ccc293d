import type { Genre } from "@/api/types";

export interface Dot extends Genre {
  x: number;
  y: number;
  r: number;
}

const MARGIN = 56;
const ROUNDS = 240;

/**
 * Place genres by mood: valence to the right, energy upwards, both spread over what occurs.
 *
 * The area of a dot is the number of tracks.  Dots that overlap are pushed apart, least first, so
 * that a place says roughly, and never wrongly, where a genre lies.
 */
export function place(genres: readonly Genre[], { width, height }: { width: number; height: number }): Dot[] {
  const known = genres.filter((genre) => genre.energy !== null && genre.valence !== null);
  const x = scale(known.map((genre) => genre.valence ?? 0), MARGIN, width - MARGIN);
  const y = scale(known.map((genre) => genre.energy ?? 0), height - MARGIN, MARGIN);
  const most = Math.max(1, ...known.map((genre) => genre.n_tracks));
  const dots = known.map((genre, i) => ({
    ...genre,
    x: x[i] ?? 0,
    y: y[i] ?? 0,
    r: 9 + 25 * Math.sqrt(genre.n_tracks / most),
  }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, a] of dots.entries()) {
      for (const b of dots.slice(i + 1)) push(a, b);
    }
    for (const dot of dots) {
      dot.x = Math.min(Math.max(dot.x, MARGIN), width - MARGIN);
      dot.y = Math.min(Math.max(dot.y, MARGIN / 1.5), height - MARGIN / 1.2);
    }
  }
  return dots;
}

/** Move two dots apart where they, or their names, would lie on each other. */
function push(a: Dot, b: Dot): void {
  const halfWidth = Math.max(a.r + b.r, 3.7 * (a.genre.length + b.genre.length)) + 4;
  const halfHeight = Math.max((a.r + b.r) * 0.9, 18);
  const dx = b.x - a.x || 0.1;
  const dy = b.y - a.y || 0.1;
  const overX = halfWidth - Math.abs(dx);
  const overY = halfHeight - Math.abs(dy);
  if (overX <= 0 || overY <= 0) return;
  if (overY / halfHeight < overX / halfWidth) {
    const by = (Math.sign(dy) * overY) / 2.2;
    a.y -= by;
    b.y += by;
  } else {
    const by = (Math.sign(dx) * overX) / 2.2;
    a.x -= by;
    b.x += by;
  }
}

function scale(values: number[], from: number, to: number): number[] {
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  return values.map((value) => from + ((value - low) / span) * (to - from));
}
