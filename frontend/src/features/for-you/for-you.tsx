import { Button } from "@chakra-ui/react";
import { useCallback, useMemo } from "react";
import { Link, useSearchParams } from "react-router";
import type { Wishes } from "@/api/calls";
import { CardList, useShown } from "@/components/card-list";
import { Empty, Failure, Waiting } from "@/components/states";
import { Strategy } from "@/components/strategy";
import { detectDevice } from "@/lib/device";
import { partOfDay } from "@/lib/time";
import type { ShownRow } from "./changes";
import { Dials } from "./dials";
import styles from "./for-you.module.css";
import { N_PER_ROW, useRows } from "./use-rows";

/** The list of now, and rows that each say why they are there. */
export function ForYou() {
  const [wishes, change] = useWishes();
  const { rows, entered, error, isPending, isRanking, refetch, renew } = useRows(wishes);
  const now = new Date();
  return (
    <div className={styles.page}>
      <header className={styles.top}>
        <h1>
          {now.toLocaleDateString("en-GB", { weekday: "long" })} {partOfDay(now)}
        </h1>
        <Button variant="ghost" size="sm" onClick={() => void renew()} disabled={isRanking} aria-label="Make new lists">
          New lists
        </Button>
      </header>
      <Dials wishes={wishes} onChange={change} />
      <div className={styles.rows} aria-busy={isRanking} data-ranking={isRanking || undefined}>
        {rows?.map((row, i) => (
          <RowSection key={row.key} row={row} wishes={wishes} entered={entered} isFirst={i === 0} />
        ))}
        {isPending && (
          <section className="section">
            <div>
              <h2 className={styles.hold}>For now</h2>
              <p className="muted">Making your list.</p>
            </div>
            <Waiting n={N_PER_ROW} kind="card" label="your list" />
          </section>
        )}
        {error && <Failure error={error} what="Your lists" onRetry={() => void refetch()} />}
        {rows?.length === 0 && (
          <Empty title="There is nothing to play yet" action={<Link to="/search">Look at the catalogue</Link>}>
            The catalogue of this installation is empty. Lists appear as soon as tracks are imported.
          </Empty>
        )}
      </div>
    </div>
  );
}

interface RowProps {
  row: ShownRow;
  wishes: Wishes;
  entered: ReadonlySet<string>;
  isFirst: boolean;
}

function RowSection({ row, wishes, entered, isFirst }: RowProps) {
  const tracks = useShown(row.items);
  if (tracks.length === 0) return null;
  return (
    <section className="section" aria-labelledby={`row-${row.key}`} data-row={row.key}>
      <div className="head">
        <h2 id={`row-${row.key}`}>{row.title}</h2>
        {isFirst && <Strategy strategy={row.strategy} />}
      </div>
      {!isFirst && row.why && <p className={styles.why}>{row.why}</p>}
      <CardList
        label={row.title}
        tracks={tracks}
        wishes={wishes}
        isShelf={!isFirst}
        newTracks={entered}
        eager={isFirst ? 6 : 0}
      />
    </section>
  );
}

/** What one wishes lies in the address: it survives a reload, and Back turns it back. */
function useWishes(): [Wishes, (change: Partial<Wishes>) => void] {
  const [params, setParams] = useSearchParams();
  const text = params.toString();
  const wishes = useMemo(() => {
    const given = new URLSearchParams(text);
    const discovery = Number.parseFloat(given.get("discovery") ?? "");
    return {
      mood: given.get("mood") ?? undefined,
      activity: given.get("activity") ?? undefined,
      device_type: given.get("device_type") ?? detectDevice(),
      discovery: Number.isFinite(discovery) ? Math.min(Math.max(discovery, 0), 1) : undefined,
    } as Wishes;
  }, [text]);
  const change = useCallback(
    (part: Partial<Wishes>) =>
      setParams(
        (old) => {
          for (const [name, value] of Object.entries(part)) {
            if (value === undefined) old.delete(name);
            else old.set(name, String(value));
          }
          return old;
        },
        { replace: true, preventScrollReset: true },
      ),
    [setParams],
  );
  return [wishes, change];
}
