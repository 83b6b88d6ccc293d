/** The server's words for what the client shows; from its own description. */

import type { components } from "./schema";

type Schemas = components["schemas"];

/** A track as any list has it; what a list leaves out is optional. */
export type Track = Pick<Schemas["Track"], "track_id" | "track_name" | "artist" | "artist_id" | "genres" | "cover_url" | "preview_url"> &
  Partial<Pick<Schemas["Track"], "album" | "year" | "duration_ms" | "popularity">> & { audio?: Schemas["Audio"] };

export type Artist = Schemas["Artist"];
export type ArtistDetail = Schemas["ArtistDetail"];
export type Found = Schemas["Found"];
export type Genre = Schemas["GenreSummary"];
export type HiddenEntry = Schemas["Hidden"];
export type HistoryEntry = Schemas["Response"];
export type Item = Schemas["Item"];
export type LibraryEntry = Schemas["LibraryRow"];
export type Me = Schemas["Me"];
export type Row = Schemas["Row"];
export type Slate = Schemas["Answer"];
export type Statistics = Schemas["Statistics"];
export type Taste = Schemas["Taste"];
export type Token = Schemas["Token"];

export type Mood = Schemas["MoodEnum"];
export type Device = Schemas["DeviceTypeEnum"];
export type Activity = Schemas["ActivityEnum"];
export type Kind = Schemas["KindEnum"];

export interface Page<T> {
  next?: string | null;
  previous?: string | null;
  results: T[];
}
