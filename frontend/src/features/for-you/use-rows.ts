import { keepPreviousData, queryOptions, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { recommendRows, type Wishes } from "@/api/calls";
import type { Row } from "@/api/types";
import { sayEffect } from "@/lib/acts";
import { describeChange, keepAnswered } from "./changes";

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
  rows: Row[];
  wishes: string;
  /** Tracks that came with the last answer. */
  entered: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();

/** The rows as shown: what one just responded to stays, what came is marked, changes are said. */
export function useRows(wishes: Wishes) {
  const { data, error, isPending, isFetching, isPlaceholderData, refetch } = useQuery(rowsQuery(wishes));
  const key = JSON.stringify(wishes);
  const [shown, setShown] = useState<Shown>();
  const latest = useRef<Shown>(undefined);

  useEffect(() => {
    if (!data || isPlaceholderData || latest.current?.of === data.rows) return;
    const before = latest.current;
    const isSameWish = before?.wishes === key;
    const rows = before && isSameWish ? keepAnswered(before.rows, data.rows) : data.rows;
    const had = new Set(before?.rows.flatMap(tracksOf));
    const entered = before ? new Set(rows.flatMap(tracksOf).filter((id) => !had.has(id))) : NONE;
    latest.current = { of: data.rows, rows, wishes: key, entered };
    setShown(latest.current);
    const [first, old] = [rows[0], before?.rows[0]];
    if (first && old) sayEffect(describeChange(old.slate.recommendations, first.slate.recommendations));
  }, [data, isPlaceholderData, key]);

  return {
    rows: shown?.rows,
    entered: shown?.entered ?? NONE,
    error: shown ? null : error,
    isPending: isPending || (!shown && !error),
    isRanking: isFetching && !!shown,
    refetch,
  };
}

const tracksOf = (row: Row) => row.slate.recommendations.map((item) => item.track_id);
