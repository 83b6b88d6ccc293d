import { keepPreviousData, queryOptions, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { recommendRows, type Wishes } from "@/api/calls";
import type { Row } from "@/api/types";
import { sayEffect } from "@/lib/acts";
import { describeChange, keepAnswered, showRow, type ShownRow } from "./changes";

export const N_PER_ROW = 12;

export const rowsQuery = (wishes: Wishes) =>
  queryOptions({
    queryKey: ["rows", wishes],
    queryFn: ({ signal }) => recommendRows({ ...wishes, n_per_row: N_PER_ROW }, signal),
    // A new answer is a new list: it comes when something changed, or at the next visit.
    staleTime: 5 * 60_000,
    refetchOnReconnect: false,
    placeholderData: keepPreviousData,
  });

interface Shown {
  of: readonly Row[];
  rows: ShownRow[];
  /** What they were asked for: wishes, and which time one asked for new ones. */
  wish: string;
  /** Tracks that came with the last answer. */
  entered: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();

/** The rows as shown: what one just responded to stays, what came is marked, changes are said. */
export function useRows(wishes: Wishes) {
  const { data, error, isPending, isFetching, isPlaceholderData, refetch } = useQuery(rowsQuery(wishes));
  const [times, setTimes] = useState(0);
  const wish = JSON.stringify([wishes, times]);
  const [shown, setShown] = useState<Shown>();
  const latest = useRef<Shown>(undefined);

  useEffect(() => {
    if (!data || isPlaceholderData || latest.current?.of === data.rows) return;
    const before = latest.current;
    const answer = data.rows.map(showRow);
    const rows = before?.wish === wish ? keepAnswered(before.rows, answer) : answer;
    const had = new Set(before?.rows.flatMap(tracksOf));
    const entered = before ? new Set(rows.flatMap(tracksOf).filter((id) => !had.has(id))) : NONE;
    latest.current = { of: data.rows, rows, wish, entered };
    setShown(latest.current);
    const [first, old] = [rows[0], before?.rows[0]];
    if (first && old) sayEffect(describeChange(old.items, first.items));
  }, [data, isPlaceholderData, wish]);

  return {
    rows: shown?.rows,
    entered: shown?.entered ?? NONE,
    error: shown ? null : error,
    isPending: isPending || (!shown && !error),
    isRanking: isFetching && !!shown,
    refetch,
    /** Ask for new lists, in which nothing of these stays. */
    renew: () => {
      setTimes((n) => n + 1);
      return refetch();
    },
  };
}

const tracksOf = (row: ShownRow) => row.items.map((item) => item.track_id);
