import { CloudOff } from "lucide-react";
import { useEffect } from "react";
import { useQuery } from "@tanstack/react-query";
import { Unreachable } from "@/api/client";
import { stateQuery } from "@/lib/me";
import { Observable, useObservable } from "@/lib/observable";
import { outbox } from "@/lib/outbox";
import styles from "./shell.module.css";

const online = new Observable(navigator.onLine);
window.addEventListener("online", () => online.set(true));
window.addEventListener("offline", () => online.set(false));

/** Say that the server is away, and what that means for what one does meanwhile. */
export function AwayBar() {
  const isOnline = useObservable(online);
  const { waiting, isAway } = useObservable(outbox);
  const { error, refetch } = useQuery({ ...stateQuery, enabled: false });
  const isUnreachable = isAway || error instanceof Unreachable;
  useEffect(() => {
    if (isOnline) void refetch({ throwOnError: false });
  }, [isOnline, refetch]);
  if (isOnline && !isUnreachable && waiting === 0) return null;
  const what = isOnline ? (isUnreachable ? "The server does not answer." : "Sending.") : "You are offline.";
  return (
    <div className={styles.away} role="status">
      <CloudOff size={18} aria-hidden="true" />
      <span>
        {what}{" "}
        {waiting > 0
          ? `${waiting} ${waiting === 1 ? "response waits" : "responses wait"} here and will be sent once.`
          : "What was loaded stays. What you do is kept here and sent later."}
      </span>
    </div>
  );
}
