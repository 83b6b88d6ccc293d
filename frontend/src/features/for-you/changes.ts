import type { Item, Row } from "@/api/types";
import { responses } from "@/lib/acts";

/** What a new answer did to the first list, in words; empty when nothing that one would see. */
export function describeChange(before: readonly Item[], after: readonly Item[]): string {
  const old = new Map(before.map((item, i) => [item.track_id, i]));
  const now = new Set(after.map((item) => item.track_id));
  const entered = after.filter((item) => !old.has(item.track_id));
  const left = before.filter((item) => !now.has(item.track_id) && !isAnswered(item));
  const kept = after.filter((item) => old.has(item.track_id));
  // Among the tracks that stayed, those that now stand before one they stood behind.
  const rose = kept.filter((item, i) =>
    kept.slice(i + 1).some((other) => (old.get(other.track_id) ?? 0) < (old.get(item.track_id) ?? 0)),
  );
  return [
    entered.length > 0 && `New here: ${names(entered)}.`,
    left.length > 0 && `Gone: ${names(left)}.`,
    rose.length > 0 && `Moved up: ${names(rose)}.`,
  ]
    .filter(Boolean)
    .join(" ");
}

/** A track as shown, with the list that it came with: one that was kept is on an earlier list than its neighbours. */
export type ShownItem = Item & { recommendation_id: string };

export interface ShownRow extends Pick<Row, "key" | "title" | "why"> {
  strategy: Row["slate"]["strategy"];
  items: ShownItem[];
}

/** Return a row of an answer as it is shown. */
export function showRow({ key, title, why, slate }: Row): ShownRow {
  const { recommendation_id, strategy, recommendations } = slate;
  return { key, title, why, strategy, items: recommendations.map((item) => ({ ...item, recommendation_id })) };
}

/**
 * Return the rows to show: the new answer, with the tracks just responded to in their old places.
 *
 * The server does not recommend again what was rated or liked; taking the card away under the
 * pointer would also take away the rating one has just given.
 */
export function keepAnswered(before: readonly ShownRow[], after: readonly ShownRow[]): ShownRow[] {
  return after.map((row) => {
    const old = before.find((one) => one.key === row.key)?.items ?? [];
    const names = new Set(row.items.map((item) => item.track_id));
    const merged = [...row.items];
    old.forEach((item, i) => {
      if (!names.has(item.track_id) && isAnswered(item)) merged.splice(i, 0, item);
    });
    return { ...row, items: merged.slice(0, Math.max(row.items.length, old.length)) };
  });
}

function isAnswered(item: Item): boolean {
  const kind = responses.get()[item.track_id]?.kind;
  return kind !== undefined && kind !== "skip" && kind !== "hide";
}

function names(items: readonly Item[]): string {
  const [first, second, ...others] = items.map((item) => item.track_name);
  if (others.length) return `${first}, ${second} and ${others.length} more`;
  return [first, second].filter(Boolean).join(" and ");
}
