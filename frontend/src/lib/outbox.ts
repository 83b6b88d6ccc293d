/**
 * Responses on their way to the server.
 *
 * Every act is first written to IndexedDB and then sent, oldest first.  What the server cannot be
 * reached for stays and is tried again: when the browser comes back online, when the page is looked
 * at again, and every few seconds.  An act carries its event id, so one that arrived although its
 * answer was lost counts once.
 *
 * Nothing is sent before the server has told this page who is signed in, and then only what that
 * very listener did: the session may have become another's since the act was kept, or nobody's.
 */

import * as api from "@/api/calls";
import { ApiError, isSignedOut, isTemporary } from "@/api/client";
import { askWhoIsSignedIn, signedIn } from "./me";
import { Observable } from "./observable";
import { type Act, database, type Deed } from "./store";

export type Outcome =
  | { status: "sent"; answer: unknown }
  | { status: "kept" }
  | { status: "refused"; error: unknown };

/** What became of an act that had waited. */
export interface Late {
  act: Act;
  outcome: Exclude<Outcome, { status: "kept" }>;
}

export interface OutboxState {
  /** Acts of this listener that the server has not confirmed. */
  waiting: number;
  /** The last try found no server. */
  isAway: boolean;
}

const RETRY_MS = 4000;

let user: string | undefined;
let running: Promise<void> | undefined;
const outcomes = new Map<string, (outcome: Outcome) => void>();
let onLate: (late: Late[]) => void = () => undefined;
/** What was done before it was known whose page this is. */
let early: Deed[] = [];

export const outbox = new Observable<OutboxState>({ waiting: 0, isAway: false });

/** Begin to keep and send what a listener does; returns how to stop. `hear` is told of what had waited. */
export function start(userId: string, hear: (late: Late[]) => void): () => void {
  user = userId;
  onLate = hear;
  const wake = () => void flush();
  const timer = setInterval(() => outbox.get().waiting && wake(), RETRY_MS);
  const unfollow = signedIn.subscribe(wake);
  window.addEventListener("online", wake);
  document.addEventListener("visibilitychange", wake);
  for (const deed of early) void keep({ ...deed, user: userId, tries: 0 });
  early = [];
  wake();
  return () => {
    clearInterval(timer);
    unfollow();
    window.removeEventListener("online", wake);
    document.removeEventListener("visibilitychange", wake);
    user = undefined;
  };
}

/** Keep an act and try to send it; resolves once the server took or refused it, or it waits. */
export function send(deed: Deed): Promise<Outcome> {
  const outcome = new Promise<Outcome>((resolve) => outcomes.set(deed.id, resolve));
  if (user === undefined) early.push(deed);
  else void keep({ ...deed, user, tries: 0 });
  return outcome;
}

async function keep(act: Act): Promise<void> {
  try {
    await (await database()).put("acts", act);
  } catch {
    settle(act.id, await attempt(act)); // no IndexedDB: then at least now, once
    return;
  }
  await flush();
}

/** Drop an act; true when it was never tried, so that the server cannot know of it. */
export async function drop(id: string): Promise<boolean> {
  if (early.some((deed) => deed.id === id)) {
    early = early.filter((deed) => deed.id !== id);
    return true;
  }
  const { store, done } = (await database()).transaction("acts", "readwrite");
  const act = await store.get(id);
  await store.delete(id);
  await done;
  if (act) await count();
  return act?.tries === 0;
}

/** Send what waits, in order; one run at a time, in all tabs of this browser. */
export async function flush(): Promise<void> {
  while (running) await running;
  running = exclusively(deliver).finally(() => {
    running = undefined;
  });
  return running;
}

async function exclusively(work: () => Promise<void>): Promise<void> {
  // Web Locks need TLS or localhost; without them two tabs may send the same, which counts once.
  if (!navigator.locks) return work();
  await navigator.locks.request("musicrec-outbox", work);
}

async function deliver(): Promise<void> {
  const whose = user;
  if (!whose) return;
  let isAway = navigator.onLine === false;
  if (!isAway && signedIn.get() !== whose) return count();
  const db = await database();
  const late: Late[] = [];
  for (const act of await db.getAllFromIndex("acts", "at")) {
    if (act.user !== whose) continue;
    if (isAway) {
      settle(act.id, { status: "kept" });
      continue;
    }
    if (!(await beginTry(act.id))) continue;
    const outcome = await attempt(act);
    if (outcome.status === "kept") isAway = true;
    else await db.delete("acts", act.id);
    const isAwaited = settle(act.id, outcome);
    if (!isAwaited && outcome.status !== "kept") late.push({ act, outcome });
  }
  await count(isAway);
  if (late.length) onLate(late);
}

/** Note that an act is being sent; false when it was dropped meanwhile. */
async function beginTry(id: string): Promise<boolean> {
  const { store, done } = (await database()).transaction("acts", "readwrite");
  const act = await store.get(id);
  if (act) await store.put({ ...act, tries: act.tries + 1 });
  await done;
  return act !== undefined;
}

async function attempt(act: Act): Promise<Outcome> {
  try {
    return { status: "sent", answer: await perform(act) };
  } catch (error) {
    if (isTemporary(error) || isSignedOut(error) || !(await isStill(act.user))) return { status: "kept" };
    const isGone = error instanceof ApiError && error.status === 404;
    if (isGone && (act.op === "undo" || act.op === "unhide")) return { status: "sent", answer: undefined };
    return { status: "refused", error };
  }
}

/** Return whether the server refused this listener, and not whoever is signed in by now. */
async function isStill(userId: string): Promise<boolean> {
  return askWhoIsSignedIn().then(
    (me) => me.user_id === userId,
    () => false,
  );
}

function perform(act: Act): Promise<unknown> {
  switch (act.op) {
    case "feedback":
      return api.feedback({ ...act.body, user_id: act.user });
    case "undo":
      return api.undoFeedback(act.eventId);
    case "hide":
      return api.hide(act.body);
    case "unhide":
      return api.unhide(act.hiddenId);
  }
}

function settle(id: string, outcome: Outcome): boolean {
  const resolve = outcomes.get(id);
  outcomes.delete(id);
  resolve?.(outcome);
  return resolve !== undefined;
}

async function count(isAway = outbox.get().isAway): Promise<void> {
  const acts = await (await database()).getAll("acts");
  const waiting = acts.filter((act) => act.user === user).length;
  outbox.set({ waiting, isAway: isAway && waiting > 0 });
}
