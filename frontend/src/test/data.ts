import type { HiddenEntry, Item, Me, Row, Slate, Track } from "@/api/types";

export function makeTrack(n: number, fields: Partial<Track> = {}): Track {
  return {
    track_id: `t${n}`,
    track_name: `Track ${n}`,
    artist: `Artist ${n % 3}`,
    artist_id: n % 3,
    album: "An album",
    genres: ["art pop"],
    year: 1995,
    duration_ms: 321_000,
    popularity: 50,
    cover_url: null,
    preview_url: null,
    ...fields,
  } as Track;
}

export function makeItem(n: number, fields: Partial<Item> = {}): Item {
  return {
    ...makeTrack(n),
    score: 1 / n,
    prediction_score: 4.2,
    confidence: 0.78,
    strategy: "neural_cf",
    explanation: `because you rated Hyperballad 5 (${n})`,
    explored: false,
    reasons: [{ signal: "rated", text: "You rated Hyperballad 5." }],
    ...fields,
  } as Item;
}

export function makeSlate(numbers: number[], fields: Partial<Slate> = {}): Slate {
  return {
    recommendation_id: "8b9f9c43-8a33-4a77-a3a5-2d1a8d2f6f10",
    policy: "contextual_bandit",
    strategy: "neural_cf",
    experiment: null,
    bandit: { arm: "neural_cf", probability: 0.4 },
    model_version: 1,
    fallback: null,
    generated_at: "2026-01-05T20:00:00Z",
    recommendations: numbers.map((n) => makeItem(n)),
    ...fields,
  };
}

export function makeRow(key: string, numbers: number[], slate: Partial<Slate> = {}): Row {
  return { key: key as Row["key"], title: `Row ${key}`, why: `Why ${key}`, slate: makeSlate(numbers, slate) };
}

export function makeMe(fields: Partial<Me> = {}): Me {
  return {
    user_id: "u1",
    email: "mia@example.org",
    email_verified: true,
    is_staff: false,
    mfa_enabled: false,
    country: "",
    time_zone: "Europe/Berlin",
    music_service: "spotify",
    created_at: "2026-01-01T00:00:00Z",
    onboarded: true,
    preferences: { genres: ["art pop"], artists: [], energy: null, mood: "" },
    n_feedback: 12,
    simulated: false,
    ...fields,
  } as Me;
}

export function makeHidden(id: number, fields: Partial<HiddenEntry> = {}): HiddenEntry {
  return { id, track: null, artist: null, until: null, created_at: "2026-01-05T20:00:00Z", ...fields };
}
