import { Button } from "@chakra-ui/react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import * as api from "@/api/calls";
import { Failure, Waiting } from "@/components/states";
import { say } from "@/lib/acts";
import { ago, exactTime } from "@/lib/time";
import { Section } from "./section";
import styles from "./settings.module.css";

/** Where one is signed in; each can be ended from here. */
export function SessionsSection() {
  const queries = useQueryClient();
  const { data, error, isPending, refetch } = useQuery({ queryKey: ["sessions"], queryFn: api.sessions, staleTime: 0 });
  const end = useMutation({
    mutationFn: api.endSessions,
    onSuccess: () => {
      say("Ended. Whoever used it must sign in again.", "good");
      return queries.invalidateQueries({ queryKey: ["sessions"] });
    },
    onError: (problem) => say(`Not ended. ${problem.message}`, "bad"),
  });
  const others = data?.filter((session) => !session.is_current) ?? [];
  return (
    <Section title="Sessions" note="Where you are signed in.">
      {isPending && <Waiting n={2} kind="line" label="sessions" />}
      {error && !data && <Failure error={error} what="Your sessions" onRetry={() => void refetch()} />}
      <ul className={styles.lines}>
        {data?.map((session) => {
          const seen = new Date((session.last_seen_at ?? session.created_at) * 1000).toISOString();
          return (
            <li key={session.id}>
              <div>
                <strong>{browserOf(session.user_agent)}</strong>
                <span className="muted">
                  {session.ip} ·{" "}
                  {session.is_current ? "this one" : <time dateTime={seen} title={exactTime(seen)}>{ago(seen)}</time>}
                </span>
              </div>
              {!session.is_current && (
                <Button variant="outline" size="sm" onClick={() => end.mutate([session.id])}>
                  End
                </Button>
              )}
            </li>
          );
        })}
      </ul>
      {others.length > 1 && (
        <Button variant="outline" justifySelf="start" onClick={() => end.mutate(others.map(({ id }) => id))}>
          End all others
        </Button>
      )}
    </Section>
  );
}

function browserOf(agent: string): string {
  const browser = /Edg\//.test(agent) ? "Edge" : /Firefox\//.test(agent) ? "Firefox" : /Chrome\//.test(agent) ? "Chrome" : /Safari\//.test(agent) ? "Safari" : "A program";
  const system = /Android/.test(agent) ? "Android" : /iPhone|iPad/.test(agent) ? "iOS" : /Mac OS/.test(agent) ? "macOS" : /Windows/.test(agent) ? "Windows" : /Linux/.test(agent) ? "Linux" : "";
  return system ? `${browser} on ${system}` : browser;
}
