/** Where "play" leads: a search link, so that no account or key of the service is needed. */
const SERVICES = {
  spotify: { name: "Spotify", search: (q: string) => `https://open.spotify.com/search/${q}` },
  apple_music: { name: "Apple Music", search: (q: string) => `https://music.apple.com/search?term=${q}` },
  youtube_music: { name: "YouTube Music", search: (q: string) => `https://music.youtube.com/search?q=${q}` },
  tidal: { name: "Tidal", search: (q: string) => `https://tidal.com/search?q=${q}` },
  deezer: { name: "Deezer", search: (q: string) => `https://www.deezer.com/search/${q}` },
  bandcamp: { name: "Bandcamp", search: (q: string) => `https://bandcamp.com/search?q=${q}` },
} as const;

export type MusicService = keyof typeof SERVICES;

export const MUSIC_SERVICES = Object.entries(SERVICES).map(([key, { name }]) => ({ key, name }));

/** Return the service's name and its search for a track; the first service where none is chosen. */
export function playLink(service: string, track: { track_name: string; artist: string }) {
  const { name, search } = SERVICES[service as MusicService] ?? SERVICES.youtube_music;
  return { name, href: search(encodeURIComponent(`${track.artist} ${track.track_name}`)) };
}
