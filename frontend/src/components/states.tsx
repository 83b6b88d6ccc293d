import { Button } from "@chakra-ui/react";
import type { ReactNode } from "react";
import { ApiError, Unreachable } from "@/api/client";
import styles from "./states.module.css";

/** What happened, what is safe, and what to do. */
export function Failure({ error, onRetry, what }: { error: unknown; onRetry?: () => void; what: string }) {
  const isAway = error instanceof Unreachable;
  return (
    <div className={styles.box} role="alert">
      <h2>{isAway ? "The server does not answer" : `${what} could not be loaded`}</h2>
      <p>
        {isAway
          ? "Nothing is lost: what you do meanwhile is kept in this browser and sent once it answers."
          : error instanceof ApiError
            ? `${error.message} Nothing was changed.`
            : "Something in this page went wrong. Nothing was changed."}
      </p>
      {onRetry && (
        <Button variant="outline" onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** Nothing here yet: what is missing, and how it comes. */
export function Empty({ title, children, action }: { title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <div className={styles.box}>
      <h2>{title}</h2>
      <p>{children}</p>
      {action}
    </div>
  );
}

/** Places that will be filled; read out as one short word. */
export function Waiting({ n, kind, label }: { n: number; kind: "card" | "line" | "tile" | "block"; label: string }) {
  return (
    <div className={styles[`${kind}s`]} role="status" aria-label={`Loading ${label}`}>
      {Array.from({ length: n }, (_, i) => (
        <div key={i} className={styles[kind]} aria-hidden="true">
          <span />
          {kind !== "block" && kind !== "tile" && <i />}
          {kind === "card" && <b />}
        </div>
      ))}
    </div>
  );
}
