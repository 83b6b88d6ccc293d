import { Button, NativeSelect, Switch } from "@chakra-ui/react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "react-router";
import * as api from "@/api/calls";
import type { Me } from "@/api/types";
import { Failure, Waiting } from "@/components/states";
import { say } from "@/lib/acts";
import { meQuery } from "@/lib/me";
import { MUSIC_SERVICES } from "@/lib/music-services";
import { useObservable } from "@/lib/observable";
import { changeSettings, localSettings, type LocalSettings } from "@/lib/settings";
import { DataSection } from "./data-section";
import { leave } from "./leave";
import { PreferencesSection } from "./preferences-section";
import { Section } from "./section";
import { SessionsSection } from "./sessions-section";
import { TokensSection } from "./tokens-section";
import styles from "./settings.module.css";

export function SettingsPage() {
  const { data: me, error, isPending, refetch } = useQuery(meQuery);
  return (
    <div className="page">
      <h1>Settings</h1>
      {isPending && <Waiting n={3} kind="block" label="your settings" />}
      {error && !me && <Failure error={error} what="Your settings" onRetry={() => void refetch()} />}
      {me && <Sections me={me} />}
    </div>
  );
}

function Sections({ me }: { me: Me }) {
  const queries = useQueryClient();
  const local = useObservable(localSettings);
  const profile = useMutation({
    mutationFn: api.patchMe,
    onSuccess: (answer) => {
      queries.setQueryData(meQuery.queryKey, answer);
      say("Saved.", "good");
    },
    onError: (problem) => say(`Not saved. ${problem.message}`, "bad"),
  });
  return (
    <div className={styles.sections}>
      <PreferencesSection preferences={me.preferences} />
      <Section title="Listening" note="Where “play” leads: a search there, so that no account needs to be joined.">
        <Choice label="Music service" value={me.music_service || "youtube_music"} onChange={(music_service) => profile.mutate({ music_service })}>
          {MUSIC_SERVICES.map(({ key, name }) => (
            <option key={key} value={key}>
              {name}
            </option>
          ))}
        </Choice>
        <Choice label="Time zone" value={me.time_zone ?? ""} onChange={(time_zone) => profile.mutate({ time_zone })}>
          <option value="">not said</option>
          {Intl.supportedValuesOf("timeZone").map((zone) => (
            <option key={zone}>{zone}</option>
          ))}
        </Choice>
      </Section>
      <Section title="This browser">
        <Choice label="Theme" value={local.theme} onChange={(theme) => changeSettings({ theme: theme as LocalSettings["theme"] })}>
          <option value="system">as the system</option>
          <option value="dark">dark</option>
          <option value="light">light</option>
        </Choice>
        <Switch.Root colorPalette="accent" checked={local.shortcuts} onCheckedChange={({ checked }) => changeSettings({ shortcuts: checked })}>
          <Switch.HiddenInput />
          <Switch.Control />
          <Switch.Label>Single keys act: l likes, 1 to 5 rate, u undoes</Switch.Label>
        </Switch.Root>
      </Section>
      <Section title="Account" note={`Signed in as ${me.email}${me.email_verified ? "" : " (address not confirmed yet)"}`}>
        <p>Second factor: {me.mfa_enabled ? "on" : "off"}</p>
        <p className={styles.links}>
          <a href="/account/second-factor/">Second factor and recovery codes</a>
          <a href="/account/password">Change password</a>
          <a href="/account/email">Email address</a>
        </p>
        <Button variant="outline" justifySelf="start" onClick={() => void leave(queries)}>
          Sign out
        </Button>
      </Section>
      <SessionsSection />
      <TokensSection />
      <DataSection email={me.email} />
      <p className="muted">
        How lists are made: <Link to="/taste">my taste</Link>, <a href="/docs">the API</a>.
      </p>
    </div>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  children: ReactNode;
}

function Choice({ label, value, onChange, children }: ChoiceProps) {
  return (
    <label className={styles.choice}>
      <span>{label}</span>
      <NativeSelect.Root>
        <NativeSelect.Field value={value} onChange={({ target }) => onChange(target.value)}>
          {children}
        </NativeSelect.Field>
        <NativeSelect.Indicator />
      </NativeSelect.Root>
    </label>
  );
}
