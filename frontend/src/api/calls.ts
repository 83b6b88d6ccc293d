/** Every call of the client, by what it is about.  Types come from the server's description. */

import { call, type Query } from "./client";
import type {
  Artist, ArtistDetail, Found, Genre, HiddenEntry, HistoryEntry, LibraryEntry, ListenImport, Me, Page, Row, Slate,
  Statistics, Taste, Token, Track,
} from "./pending";

export type Mood = "happy" | "sad" | "energetic" | "calm" | "party" | "focus" | "romantic" | "angry";
export type Device = "desktop" | "mobile" | "tablet" | "speaker" | "car" | "tv";
export type Activity = "waking" | "commute" | "work" | "workout" | "relax" | "party" | "sleep";
export type Kind = "rating" | "like" | "dislike" | "play" | "skip" | "save" | "hide";

export interface Wishes {
  mood?: Mood;
  activity?: Activity;
  device_type?: Device;
  discovery?: number;
}

export interface FeedbackBody {
  track_id: string;
  kind?: Kind;
  rating?: number;
  completion?: number;
  recommendation_id?: string;
  context?: { mood?: Mood; device_type?: Device };
  event_id: string;
  occurred_at?: string;
}

export interface Preferences {
  genres?: string[];
  artists?: string[];
  energy?: number | null;
  mood?: Mood | "";
}

// -- The four calls of the public interface ----------------------------------------------------

/** Create an account; the answer's token is for programs, the browser signs in by session. */
export const register = (body: { email: string; password: string }) =>
  call<{ user_id: string; token: string }>("/auth/register", { method: "POST", body });

/** Say what one likes; what is left out stays as it is. */
export const setPrefs = (body: Preferences) =>
  call<Preferences>("/preferences/set", { method: "POST", body });

/** Ask for one list. */
export const recommend = (
  body: Wishes & { n_recommendations?: number; genres?: string[]; artists?: string[]; exclude?: string[] },
) => call<Slate>("/recommend", { method: "POST", body });

/** Respond to a track; a repeat with the same `event_id` counts once. */
export const feedback = (body: FeedbackBody) =>
  call<{ event_id: string; kind: Kind; duplicate: boolean }>("/feedback", { method: "POST", body });

// -- Lists and responses -----------------------------------------------------------------------

export const recommendRows = (body: Wishes & { n_per_row?: number }, signal?: AbortSignal) =>
  call<{ rows: Row[] }>("/recommend/rows", { method: "POST", body, signal });

export const undoFeedback = (eventId: string) =>
  call<void>(`/feedback/${encodeURIComponent(eventId)}`, { method: "DELETE" });

export const hide = (body: { track_id?: string; artist_id?: number; days?: number }) =>
  call<HiddenEntry>("/me/hidden", { method: "POST", body });

export const unhide = (id: number) => call<void>(`/me/hidden/${id}`, { method: "DELETE" });

// -- Me ----------------------------------------------------------------------------------------

export const me = () => call<Me>("/me");
export const patchMe = (
  body: Partial<Pick<Me, "country" | "time_zone" | "music_service" | "onboarded">>,
) => call<Me>("/me", { method: "PATCH", body });
export const deleteMe = (password: string) =>
  call<void>("/me", { method: "DELETE", body: { password } });
export const state = () => call<{ version: string }>("/me/state", { quiet: true });
export const taste = () => call<Taste>("/me/taste");
export const statistics = (period: string) => call<Statistics>("/me/statistics", { query: { period } });
export const history = (query: Query) => call<Page<HistoryEntry>>("/me/history", { query });
export const library = (query: Query) => call<Page<LibraryEntry>>("/me/library", { query });
export const hidden = (query: Query) => call<Page<HiddenEntry>>("/me/hidden", { query });
export const imports = () => call<Page<ListenImport> | ListenImport[]>("/me/imports");
export const importHistory = (body: FormData) =>
  call<{ id: number }>("/me/import", { method: "POST", body });
export const tokens = () => call<Page<Token> | Token[]>("/me/tokens");
export const addToken = (body: { name: string; days?: number }) =>
  call<Token & { token: string }>("/me/tokens", { method: "POST", body });
export const removeToken = (id: number) => call<void>(`/me/tokens/${id}`, { method: "DELETE" });

/** The page behind a cursor: its address comes from the server. */
export const follow = <T>(url: string) => {
  const { pathname, search } = new URL(url, window.location.origin);
  return call<Page<T>>(pathname + search);
};

// -- Catalogue ---------------------------------------------------------------------------------

export const search = (q: string, signal?: AbortSignal) =>
  call<Found>("/search", { query: { q, limit: 8 }, signal });
export const tracks = (query: Query) => call<Page<Track>>("/tracks", { query });
export const track = (id: string) => call<Track>(`/tracks/${encodeURIComponent(id)}`);
export const similar = (id: string) =>
  call<Page<Track> | Track[]>(`/tracks/${encodeURIComponent(id)}/similar`, { query: { limit: 12 } });
export const artists = (query: Query) => call<Page<Artist>>("/artists", { query });
export const artist = (id: number) => call<ArtistDetail>(`/artists/${id}`);
export const genres = () => call<Genre[] | Page<Genre>>("/genres");
export const trending = () => call<Page<Track> | Track[]>("/trending");
export const latest = () => call<Page<Track> | Track[]>("/latest");

/** Some lists come in pages and some whole. */
export const itemsOf = <T>(answer: Page<T> | T[]): T[] =>
  Array.isArray(answer) ? answer : answer.results;

// -- Sessions (django-allauth's own interface) -------------------------------------------------

export interface BrowserSession {
  id: number;
  user_agent: string;
  ip: string;
  created_at: number;
  last_seen_at?: number;
  is_current: boolean;
}

const ALLAUTH = "/_allauth/browser/v1";
export const sessions = () =>
  call<{ data: BrowserSession[] }>(`${ALLAUTH}/auth/sessions`).then(({ data }) => data);
export const endSessions = (ids: number[]) =>
  call<unknown>(`${ALLAUTH}/auth/sessions`, { method: "DELETE", body: { sessions: ids } });
/** Sign out; allauth answers 401, which here is what was asked for. */
export const signOut = () =>
  call<unknown>(`${ALLAUTH}/auth/session`, { method: "DELETE", quiet: true }).catch(
    (error: unknown) => {
      if (!(error instanceof Error && "status" in error && error.status === 401)) throw error;
    },
  );
