import { Button, Input } from "@chakra-ui/react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import * as api from "@/api/calls";
import type { components } from "@/api/schema";
import { say } from "@/lib/acts";
import { forgetAnswers } from "@/lib/store";
import { ago, exactTime } from "@/lib/time";
import { Section } from "./section";
import styles from "./settings.module.css";

type Import = components["schemas"]["HistoryImport"];

const STATUS = { queued: "waits its turn", running: "being read", done: "done", failed: "failed" } as const;

/** One's own data: in, out, and away. */
export function DataSection({ email }: { email: string }) {
  return (
    <>
      <Imports />
      <Section title="Take it with you" note="Everything that is kept about you, in one file.">
        <Button asChild variant="outline" justifySelf="start">
          <a href="/me/export" download>
            Export as JSON
          </a>
        </Button>
      </Section>
      <Deletion email={email} />
    </>
  );
}

function Imports() {
  const queries = useQueryClient();
  const { data } = useQuery({
    queryKey: ["imports"],
    queryFn: async () => (await api.imports()).results,
    refetchInterval: ({ state }) => (state.data?.some(isOpen) ? 2000 : false),
  });
  const send = useMutation({
    mutationFn: (file: File) => {
      const body = new FormData();
      body.append("file", file);
      return api.importHistory(body);
    },
    onSuccess: () => {
      say("The file is with the server and will be read.", "good");
      return queries.invalidateQueries({ queryKey: ["imports"] });
    },
    onError: (problem) => say(`Not imported, nothing was changed. ${problem.message}`, "bad"),
  });
  return (
    <Section title="Import my history" note="What you listened to elsewhere: a Last.fm or ListenBrainz export, Spotify's extended history, or CSV. It is matched to this catalogue.">
      <label className={styles.file}>
        <span>{send.isPending ? "Sending the file" : "Choose a file"}</span>
        <input
          type="file"
          accept=".csv,.tsv,.json,.jsonl,.zip,.txt"
          disabled={send.isPending}
          onChange={({ target }) => {
            const [file] = target.files ?? [];
            if (file) send.mutate(file);
            target.value = "";
          }}
        />
      </label>
      <ul className={styles.lines}>
        {data?.map((one) => (
          <li key={one.id}>
            <div>
              <strong>
                {one.source ?? one.file_name}: {STATUS[one.status]}
              </strong>
              {one.error && <span className={styles.problem}>{one.error}</span>}
              <span className="muted number">
                {one.matched} matched, {one.unmatched} not in this catalogue, {one.duplicates} known already, {one.rejected} unreadable ·{" "}
                <time dateTime={one.created_at} title={exactTime(one.created_at)}>
                  {ago(one.created_at)}
                </time>
              </span>
              {one.examples.length > 0 && (
                <span className="muted">
                  Not here, most played first: {one.examples.map(({ name, plays }) => `${name} (${plays})`).join(", ")}
                </span>
              )}
            </div>
          </li>
        ))}
      </ul>
    </Section>
  );
}

const isOpen = (one: Import) => one.status === "queued" || one.status === "running";

function Deletion({ email }: { email: string }) {
  const queries = useQueryClient();
  const [isOpened, setOpened] = useState(false);
  const [password, setPassword] = useState("");
  const remove = useMutation({
    mutationFn: api.deleteMe,
    onSuccess: async () => {
      await forgetAnswers(queries).catch(() => undefined);
      window.location.assign("/");
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    remove.mutate(password);
  };
  return (
    <Section title="Delete my account" note="Your account and everything that says who did what are erased. This cannot be undone.">
      {!isOpened ? (
        <Button variant="outline" borderColor="bad" color="bad" justifySelf="start" onClick={() => setOpened(true)}>
          Delete my account
        </Button>
      ) : (
        <form className={styles.inline} onSubmit={submit}>
          <input type="text" name="username" autoComplete="username" value={email} readOnly hidden />
          <Input type="password" autoComplete="current-password" aria-label="Your password, to be sure" placeholder="Your password, to be sure" value={password} onChange={({ target }) => setPassword(target.value)} />
          <Button type="submit" bg="bad" color="bg" loading={remove.isPending} disabled={!password}>
            Delete for ever
          </Button>
          <Button variant="ghost" onClick={() => setOpened(false)}>
            Keep it
          </Button>
          {remove.error && (
            <p role="alert" className={styles.problem}>
              Not deleted. {remove.error.message}
            </p>
          )}
        </form>
      )}
    </Section>
  );
}
