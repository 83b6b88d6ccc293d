/** Endpoints that the server does not describe yet, in the form of the generated `paths`. */

export interface Track {
  track_id: string;
  track_name: string;
  artist: string;
  artist_id: number;
  album?: string;
  genres: string[];
  year?: number | null;
  duration_ms?: number | null;
  popularity?: number | null;
  cover_url: string | null;
  preview_url: string | null;
  audio?: Record<string, number | null>;
}

export interface Reason {
  signal: string;
  text: string;
  track_id?: string | null;
}

export interface Item extends Track {
  score: number;
  prediction_score: number | null;
  confidence: number | null;
  strategy: string;
  explanation: string;
  explored: boolean;
  reasons: Reason[];
}

export interface Slate {
  recommendation_id: string | null;
  policy: string;
  strategy: string;
  experiment: { key: string; variant: string } | null;
  bandit: { arm: string; probability: number } | null;
  model_version: number | null;
  fallback: string | null;
  generated_at: string;
  recommendations: Item[];
}

export interface Row {
  key: string;
  title: string;
  why: string;
  slate: Slate;
}

export interface Me {
  user_id: string;
  email: string;
  email_verified: boolean;
  is_staff: boolean;
  mfa_enabled: boolean;
  country: string;
  time_zone: string;
  music_service: string;
  created_at: string;
  onboarded: boolean;
  preferences: { genres: string[]; artists: string[]; energy: number | null; mood: string };
  n_feedback: number;
  simulated: boolean;
}

export interface Page<T> {
  next: string | null;
  previous: string | null;
  results: T[];
}

export interface Artist {
  artist_id: number;
  artist: string;
  genres?: string[];
  n_tracks?: number;
}

export interface ArtistDetail extends Artist {
  genres: string[];
  n_tracks: number;
  tracks: Track[];
  similar: Artist[];
}

export interface Genre {
  genre: string;
  n_tracks: number;
  energy: number | null;
  valence: number | null;
  related: string[];
}

export interface Found {
  tracks: Track[];
  artists: Artist[];
  genres: { genre: string; n_tracks: number }[];
}

export interface HistoryEntry {
  event_id: string;
  kind: string;
  rating: number | null;
  completion: number | null;
  occurred_at: string;
  undone: boolean;
  track: Track;
  recommendation_id: string | null;
  strategy: string | null;
}

export interface LibraryEntry {
  track: Track;
  state: string;
  rating: number | null;
  at: string;
  event_id: string;
}

export interface HiddenEntry {
  id: number;
  track: Track | null;
  artist: Artist | null;
  until: string | null;
  created_at: string;
}

export interface Statistics {
  period: string;
  n: number;
  top_artists: { artist_id: number; artist: string; plays: number }[];
  top_tracks: (Track & { plays: number })[];
  top_genres: { genre: string; share: number }[];
  week_hours: number[][];
  over_time: { at: string; valence: number | null; energy: number | null; n: number }[];
  era: { decade: number; n: number }[];
  strategies: { strategy: string; slates: number; responses: number; mean_preference: number | null }[];
  recommendations_changed: {
    at: string;
    kind: string;
    track: Track | null;
    entered: Track[];
    left: Track[];
  }[];
}

export interface Taste {
  n_feedback: number;
  mean_preference: number | null;
  genres: { genre: string; share: number; n: number }[];
  artists: { artist_id: number; artist: string; n: number; mean_preference: number | null }[];
  audio: Record<string, { mean: number | null; catalogue_mean: number | null }>;
  changed: { at: string; genres: { genre: string; share: number }[] }[];
}

export interface ListenImport {
  id: number;
  status: "queued" | "running" | "done" | "failed";
  source: string;
  matched: number;
  unmatched: number;
  duplicates: number;
  rejected: number;
  examples: unknown[];
  created_at: string;
  finished_at: string | null;
}

export interface Token {
  id: number;
  name: string;
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
}
