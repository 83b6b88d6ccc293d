import { Button, Input } from "@chakra-ui/react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import * as api from "@/api/calls";
import { Failure, Waiting } from "@/components/states";
import { say } from "@/lib/acts";
import { ago, exactTime } from "@/lib/time";
import { Section } from "./section";
import styles from "./settings.module.css";

/** Tokens for one's own programs; a new one is shown once. */
export function TokensSection() {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ["tokens"],
    queryFn: async () => api.itemsOf(await api.tokens()),
  });
  const again = () => queries.invalidateQueries({ queryKey: ["tokens"] });
  const add = useMutation({
    mutationFn: api.addToken,
    onSuccess: () => {
      setName("");
      return again();
    },
    onError: (problem) => say(`Not made. ${problem.message}`, "bad"),
    gcTime: 0, // the token itself is in the answer: it is not kept
  });
  const remove = useMutation({
    mutationFn: api.removeToken,
    onSuccess: () => {
      say("The token no longer works.", "good");
      return again();
    },
    onError: (problem) => say(`Not revoked. ${problem.message}`, "bad"),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) add.mutate({ name: name.trim() });
  };
  return (
    <Section title="Tokens" note="For programs of your own that speak to the API for you.">
      {isPending && <Waiting n={1} kind="line" label="tokens" />}
      {error && !data && <Failure error={error} what="Your tokens" onRetry={() => void refetch()} />}
      {data?.length === 0 && <p className="muted">No program has a token.</p>}
      <ul className={styles.lines}>
        {data?.map((token) => (
          <li key={token.id}>
            <div>
              <strong>{token.name}</strong>
              <span className="muted">
                made <time dateTime={token.created_at} title={exactTime(token.created_at)}>{ago(token.created_at)}</time>
                {token.last_used_at ? ` · used ${ago(token.last_used_at)}` : " · never used"}
                {token.expires_at && ` · until ${exactTime(token.expires_at)}`}
              </span>
            </div>
            <Button variant="outline" size="sm" aria-label={`Revoke ${token.name}`} onClick={() => remove.mutate(token.id)}>
              Revoke
            </Button>
          </li>
        ))}
      </ul>
      {add.data && (
        <div className={styles.secret} role="status">
          <p>Copy the token now; it is not shown again.</p>
          <code>{add.data.token}</code>
        </div>
      )}
      <form className={styles.inline} onSubmit={submit}>
        <Input aria-label="Name of the new token" placeholder="What for" value={name} maxLength={100} onChange={({ target }) => setName(target.value)} />
        <Button type="submit" variant="outline" loading={add.isPending} disabled={!name.trim()}>
          Make a token
        </Button>
      </form>
    </Section>
  );
}
