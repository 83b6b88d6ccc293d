/** What stays in this browser: loaded answers, and responses that still have to be sent. */

import type { Query, QueryClient } from "@tanstack/react-query";
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { FeedbackBody } from "@/api/calls";

/** What somebody did. `id` is the event id: a repeat counts once. */
export type Deed = { id: string; at: string } & (
  | { op: "feedback"; body: FeedbackBody }
  | { op: "undo"; eventId: string }
  | { op: "hide"; body: { track_id?: string; artist_id?: number; days?: number } }
  | { op: "unhide"; hiddenId: number }
);

/** A deed that the server has not confirmed yet, and whose it is. */
export type Act = Deed & { user: string; tries: number };

interface Schema extends DBSchema {
  acts: { key: string; value: Act; indexes: { at: string } };
  answers: { key: string; value: string };
}

let opened: Promise<IDBPDatabase<Schema>> | undefined;

/** Open the database; where the browser forbids one, every call rejects and nothing is kept. */
export function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>("musicrec", 1, {
    upgrade(db) {
      db.createObjectStore("acts", { keyPath: "id" }).createIndex("at", "at");
      db.createObjectStore("answers");
    },
  });
  return opened;
}

/** The storage that TanStack Query's persister writes to. */
export const answerStorage = {
  getItem: async (key: string) => (await (await database()).get("answers", key)) ?? null,
  setItem: async (key: string, value: string) => {
    await (await database()).put("answers", value, key);
  },
  removeItem: async (key: string) => {
    await (await database()).delete("answers", key);
  },
};

/**
 * Forget what was loaded, so that the next person finds nothing; what was kept is written anew of
 * what is still held here.
 */
export async function forgetAnswers(queries: QueryClient, isOurs: (query: Query) => boolean = () => false): Promise<void> {
  queries.removeQueries({ predicate: (query) => !isOurs(query) });
  await (await database()).clear("answers");
}

/** Return a random UUID; `crypto.randomUUID` is missing on pages without TLS. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
