/** Every call of the client, by what it is about. */

import { call, contentOf, quietServer, server } from "./client";
import type { components, paths } from "./schema";
import type { Activity, Device, Kind, Mood, Page } from "./types";

export type { Activity, Device, Kind, Mood } from "./types";

export interface Wishes {
  mood?: Mood;
  activity?: Activity;
  device_type?: Device;
  discovery?: number;
}

export interface FeedbackBody {
  /** Who responds; the server refuses it where somebody else is signed in. */
  user_id?: string;
  track_id: string;
  kind?: Kind;
  rating?: number;
  completion?: number;
  recommendation_id?: string;
  context?: { mood?: Mood; device_type?: Device };
  event_id: string;
  occurred_at?: string;
}

type Schemas = components["schemas"];
type Query<P extends keyof paths> = paths[P] extends { get: { parameters: { query?: infer Q } } } ? Q : never;

// -- The four calls of the public interface ----------------------------------------------------

/** Create an account; the answer's token is for programs, the browser signs in by session. */
export const register = (body: Schemas["Registration"]) => contentOf(server.POST("/auth/register", { body }));

/** Say what one likes; what is left out stays as it is. */
export const setPrefs = (body: { genres?: string[]; artists?: string[]; energy?: number | null; mood?: Mood | "" }) =>
  contentOf(server.POST("/preferences/set", { body }));

/** Ask for one list. */
export const recommend = ({ n_recommendations = 10, ...wishes }: Wishes & { n_recommendations?: number; genres?: string[]; exclude?: string[] }) =>
  contentOf(server.POST("/recommend", { body: { genres: [], exclude: [], ...wishes, n_recommendations } }));

/** Respond to a track; a repeat with the same `event_id` counts once. */
export const feedback = (body: FeedbackBody) => contentOf(server.POST("/feedback", { body }));

// -- Lists and responses -----------------------------------------------------------------------

export const recommendRows = (body: Wishes & { n_per_row: number }, signal?: AbortSignal) =>
  contentOf(server.POST("/recommend/rows", { body, signal }));

export const undoFeedback = (event_id: string) =>
  contentOf(server.DELETE("/feedback/{event_id}", { params: { path: { event_id } } }));

export const hide = (body: Schemas["Hide"]) => contentOf(server.POST("/me/hidden", { body }));
export const unhide = (id: number) => contentOf(server.DELETE("/me/hidden/{id}", { params: { path: { id } } }));

// -- Me ----------------------------------------------------------------------------------------

export const me = () => contentOf(server.GET("/me"));
export const patchMe = (body: { country?: string; time_zone?: string; music_service?: string; onboarded?: boolean }) =>
  contentOf(server.PATCH("/me", { body }));
export const deleteMe = (password: string) => call<void>("/me", { method: "DELETE", body: { password } });
export const state = () => contentOf(quietServer.GET("/me/state"));
export const taste = () => contentOf(server.GET("/me/taste"));
export const statistics = (period: NonNullable<Query<"/me/statistics">>["period"]) =>
  contentOf(server.GET("/me/statistics", { params: { query: { period } } }));
export const history = (query: Query<"/me/history">) => contentOf(server.GET("/me/history", { params: { query: given(query) } }));
export const library = (query: Query<"/me/library">) => contentOf(server.GET("/me/library", { params: { query } }));
export const hidden = (query: Query<"/me/hidden">) => contentOf(server.GET("/me/hidden", { params: { query } }));
export const tokens = () => contentOf(server.GET("/me/tokens"));
export const addToken = (body: Schemas["NewToken"]) => contentOf(server.POST("/me/tokens", { body }));
export const removeToken = (id: number) => contentOf(server.DELETE("/me/tokens/{id}", { params: { path: { id } } }));
export const imports = () => contentOf(server.GET("/me/imports"));
export const importHistory = (body: FormData) => call<{ id: number }>("/me/import", { method: "POST", body });

/** The page behind a cursor: its address comes from the server. */
export const follow = <T>(url: string) => {
  const { pathname, search } = new URL(url, window.location.origin);
  return call<Page<T>>(pathname + search);
};

// -- Catalogue ---------------------------------------------------------------------------------

export const search = (q: string, signal?: AbortSignal) =>
  contentOf(server.GET("/search", { params: { query: { q, limit: 8 } }, signal }));
export const tracks = (query: Query<"/tracks">) => contentOf(server.GET("/tracks", { params: { query } }));
export const track = (track_id: string) => contentOf(server.GET("/tracks/{track_id}", { params: { path: { track_id } } }));
export const similar = (track_id: string) =>
  contentOf(server.GET("/tracks/{track_id}/similar", { params: { path: { track_id }, query: { limit: 12 } } }));
export const artists = (query: Query<"/artists">) => contentOf(server.GET("/artists", { params: { query: given(query) } }));
export const artist = (artist_id: number) =>
  contentOf(server.GET("/artists/{artist_id}", { params: { path: { artist_id } } }));
export const genres = () => contentOf(server.GET("/genres"));
export const trending = () => contentOf(server.GET("/trending"));
export const latest = () => contentOf(server.GET("/latest"));

/** Some lists come in pages and some whole. */
export const itemsOf = <T>(answer: Page<T> | T[]): T[] => (Array.isArray(answer) ? answer : answer.results);

/** Leave out filters that are not set: the server would take an empty one for a wrong one. */
function given<Q extends object | undefined>(query: Q): Q {
  return Object.fromEntries(Object.entries(query ?? {}).filter(([, value]) => value !== "" && value !== undefined)) as Q;
}

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
export const sessions = () => call<{ data: BrowserSession[] }>(`${ALLAUTH}/auth/sessions`).then(({ data }) => data);
export const endSessions = (ids: number[]) =>
  call<unknown>(`${ALLAUTH}/auth/sessions`, { method: "DELETE", body: { sessions: ids } });
/** Sign out; allauth answers 401, which here is what was asked for. */
export const signOut = () =>
  call<unknown>(`${ALLAUTH}/auth/session`, { method: "DELETE", isQuiet: true }).catch((error: unknown) => {
    if (!(error instanceof Error && "status" in error && error.status === 401)) throw error;
  });
