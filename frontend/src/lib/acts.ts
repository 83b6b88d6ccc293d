/**
 * What a listener does with tracks: shown at once, sent through the outbox, undone on demand.
 *
 * An act changes `responses` and `hidden` before the server knows; where the server refuses it,
 * both go back to what they were and the page says so.
 */

import type { QueryClient } from "@tanstack/react-query";
import type { Kind, Wishes } from "@/api/calls";
import { ApiError } from "@/api/client";
import type { HiddenEntry, Track } from "@/api/types";
import { announce } from "./announce";
import { stateQuery } from "./me";
import { Observable } from "./observable";
import * as outbox from "./outbox";
import { type Deed, newId } from "./store";
import { tellOtherTabs } from "./tabs";

export interface Response {
  kind: Kind;
  rating?: number;
  eventId: string;
  state: "sending" | "sent" | "kept";
}

/** The act that the page speaks of, until the next one. */
export interface Notice {
  n: number;
  text: string;
  /** What it changed in the lists, once they came. */
  effect?: string;
  tone: "plain" | "good" | "bad";
  undo?: () => void;
}

/** Responses of this visit, by track. */
export const responses = new Observable<Readonly<Record<string, Response>>>({});
/** What was hidden in this visit, before lists without it came. */
export const hidden = new Observable<{ tracks: ReadonlySet<string>; artists: ReadonlySet<number> }>({
  tracks: new Set(),
  artists: new Set(),
});
export const notice = new Observable<Notice | undefined>(undefined);

/** A track, and the list that it was recommended on, where it was on one. */
export type Listed = Track & { recommendation_id?: string };

type Subject = Pick<Track, "track_id" | "track_name" | "artist" | "artist_id">;
interface Undoable {
  id: string;
  run: () => Promise<void>;
}

/** What an act does on the page as the server takes, keeps waiting or refuses it. */
interface Then {
  sent: (answer: unknown) => void;
  kept: () => void;
  refused: () => void;
}

let bound: QueryClient | undefined;
let undoable: Undoable[] = [];
/** Acts of this visit that wait to be sent. */
const waiting = new Map<string, Then>();
let counter = 0;

/** Speak for a listener from now on; returns how to stop. */
export function bind(user: string, queries: QueryClient): () => void {
  bound = queries;
  const stop = outbox.start(user, hearLate);
  return () => {
    stop();
    bound = undefined;
    undoable = [];
    waiting.clear();
    responses.set({});
    hidden.set({ tracks: new Set(), artists: new Set() });
    notice.set(undefined);
  };
}

const DONE: Record<Kind, (track: Subject, rating?: number) => string> = {
  rating: (track, rating) => `Rated ${track.track_name} ${rating} of 5.`,
  like: (track) => `Liked ${track.track_name}.`,
  dislike: (track) => `Disliked ${track.track_name}.`,
  play: (track) => `Playing ${track.track_name}.`,
  skip: (track) => `Skipped ${track.track_name}.`,
  save: (track) => `Saved ${track.track_name}.`,
  hide: (track) => `Hid ${track.track_name}.`,
};

/** Respond to a track, in the moment that it was asked for. */
export async function respond(
  track: Subject & Pick<Listed, "recommendation_id">,
  what: { kind: Kind; rating?: number; completion?: number },
  wishes: Wishes = {},
): Promise<void> {
  const act = stamp({
    op: "feedback",
    body: {
      track_id: track.track_id,
      ...what,
      event_id: "",
      recommendation_id: track.recommendation_id,
      context: { mood: wishes.mood, device_type: wishes.device_type },
    },
  });
  if (act.op === "feedback") {
    act.body.event_id = act.id;
    act.body.occurred_at = act.at;
  }
  const before = responses.get()[track.track_id];
  const isLatest = () => responses.get()[track.track_id]?.eventId === act.id;
  const put = (response: Response | undefined) => {
    const { [track.track_id]: _, ...others } = responses.get();
    responses.set(response ? { ...others, [track.track_id]: response } : others);
  };
  put({ ...what, eventId: act.id, state: "sending" });
  const text = DONE[what.kind](track, what.rating);
  const undo = remember(act.id, async () => {
    put(before);
    await takeBack(act.id, `Undone: ${text}`, async () => ({ op: "undo", eventId: act.id }));
  });
  say(text, "plain", undo);
  await settle(act, {
    sent: () => mark(track.track_id, act.id, "sent"),
    kept: () => mark(track.track_id, act.id, "kept"),
    refused: () => isLatest() && put(before),
  });
}

/** Hide a track or its artist, for some days or until shown again. */
export async function hide(
  track: Subject,
  { what, days }: { what: "track" | "artist"; days?: number },
): Promise<void> {
  const body =
    what === "track" ? { track_id: track.track_id, days } : { artist_id: track.artist_id, days };
  const act = stamp({ op: "hide", body });
  const put = (isHidden: boolean) => {
    const tracks = new Set(hidden.get().tracks);
    const artists = new Set(hidden.get().artists);
    if (what === "track") tracks[isHidden ? "add" : "delete"](track.track_id);
    else artists[isHidden ? "add" : "delete"](track.artist_id);
    hidden.set({ tracks, artists });
  };
  put(true);
  const name = what === "track" ? track.track_name : track.artist;
  const text = `Hid ${name}${days ? ` for ${days} days` : ""}.`;
  let hiddenId: number | undefined;
  const undo = remember(act.id, async () => {
    put(false);
    await takeBack(act.id, `${name} is back.`, async () => {
      await sending; // its answer names what is to be shown again
      return hiddenId === undefined ? undefined : { op: "unhide", hiddenId };
    });
  });
  say(text, "plain", undo);
  const sending = settle(act, {
    sent: (answer) => {
      hiddenId = (answer as HiddenEntry).id;
    },
    kept: () => undefined,
    refused: () => put(false),
  });
  await sending;
}

/** Show again what was hidden earlier. */
export async function unhide(entry: HiddenEntry): Promise<void> {
  const name = entry.track?.track_name ?? entry.artist?.artist ?? "It";
  const act = stamp({ op: "unhide", hiddenId: entry.id });
  say(`${name} may be recommended again.`, "plain");
  await settle(act, { sent: () => undefined, kept: () => undefined, refused: () => undefined });
}

/** Undo a response that may be from an earlier visit. */
export async function undoEvent(eventId: string, track: Subject): Promise<void> {
  const { [track.track_id]: response, ...others } = responses.get();
  if (response?.eventId === eventId) responses.set(others);
  await takeBack(eventId, `Undone: your response to ${track.track_name}.`, async () => ({
    op: "undo",
    eventId,
  }));
}

/** Undo the newest act that is not undone yet. */
export async function undoLast(): Promise<void> {
  const last = undoable.pop();
  if (last) await last.run();
  else say("There is nothing to undo.", "plain");
}

/** Say what an act did to the lists, beside the act itself. */
export function sayEffect(effect: string): void {
  const now = notice.get();
  if (now && now.tone !== "bad") notice.set({ ...now, effect });
  else if (effect) say(effect, "plain");
  if (effect) announce(effect);
}

export function say(text: string, tone: Notice["tone"], undo?: () => void): void {
  counter += 1;
  notice.set({ n: counter, text, tone, undo });
  announce(text);
}

function remember(id: string, run: () => Promise<void>): () => void {
  const entry: Undoable = { id, run };
  undoable = [...undoable.slice(-19), entry];
  return () => {
    undoable = undoable.filter((one) => one !== entry);
    void run();
  };
}

async function takeBack(
  id: string,
  text: string,
  reverse: () => Promise<Reverse | undefined>,
): Promise<void> {
  undoable = undoable.filter((one) => one.id !== id);
  say(text, "plain");
  const isUnknownToServer = await outbox.drop(id).catch(() => false);
  const act = isUnknownToServer ? undefined : await reverse();
  if (!act) return; // then the server has nothing new
  await settle(stamp(act), { sent: () => undefined, kept: () => undefined, refused: () => undefined });
}

type WithoutStamp<T> = T extends unknown ? Omit<T, "id" | "at"> : never;
type Reverse = Extract<WithoutStamp<Deed>, { op: "undo" | "unhide" }>;

function stamp(deed: WithoutStamp<Deed>): Deed {
  return { ...deed, id: newId(), at: new Date().toISOString() } as Deed;
}

async function settle(deed: Deed, then: Then): Promise<void> {
  const outcome = await outbox.send(deed);
  if (outcome.status === "kept") {
    waiting.set(deed.id, then);
    then.kept();
  } else if (outcome.status === "sent") {
    then.sent(outcome.answer);
    changed();
  } else {
    refuse(deed.id, then);
    say(`Not taken, nothing was changed. ${reasonOf(outcome.error)}`, "bad");
  }
}

/** Tell of acts that had waited, perhaps since an earlier visit. */
function hearLate(late: outbox.Late[]): void {
  const reasons: string[] = [];
  for (const { act, outcome } of late) {
    const then = waiting.get(act.id);
    waiting.delete(act.id);
    if (outcome.status === "sent") then?.sent(outcome.answer);
    else {
      refuse(act.id, then);
      reasons.push(reasonOf(outcome.error));
    }
  }
  const nSent = late.length - reasons.length;
  const told = [
    nSent > 0 && `${nSent === 1 ? "1 response was" : `${nSent} responses were`} sent.`,
    reasons.length > 0 && `${reasons.length === 1 ? "1 response was" : `${reasons.length} responses were`} not taken. ${reasons[0]}`,
  ];
  say(told.filter(Boolean).join(" "), reasons.length ? "bad" : "good");
  changed();
}

function refuse(id: string, then: Then | undefined): void {
  then?.refused();
  undoable = undoable.filter((one) => one.id !== id);
}

const reasonOf = (error: unknown) => (error instanceof ApiError ? error.message : "The server refused it.");

function mark(trackId: string, eventId: string, state: Response["state"]): void {
  const response = responses.get()[trackId];
  if (response?.eventId === eventId) responses.set({ ...responses.get(), [trackId]: { ...response, state } });
}

const DEPENDENT = new Set(["rows", "history", "library", "hidden", "taste", "statistics", "me"]);

/** Ask again for everything that depends on what the listener did. */
export function askAgain(queries: QueryClient): void {
  void queries.invalidateQueries({ predicate: ({ queryKey }) => DEPENDENT.has(String(queryKey[0])) });
}

/** Look whether anything changed; what is shown is asked for again only where the version is another. */
export function lookForNews(queries: QueryClient): void {
  void queries.refetchQueries({ queryKey: stateQuery.queryKey });
}

function changed(): void {
  if (!bound) return;
  lookForNews(bound);
  tellOtherTabs();
}
