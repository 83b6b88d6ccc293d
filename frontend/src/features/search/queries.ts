import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import * as api from "@/api/calls";

const HOUR = 60 * 60_000;

export const searchQuery = (q: string) =>
  queryOptions({
    queryKey: ["search", q],
    queryFn: ({ signal }) => api.search(q, signal),
    enabled: q.length > 0,
    placeholderData: keepPreviousData,
    gcTime: 5 * 60_000,
  });

export const genresQuery = queryOptions({
  queryKey: ["genres"],
  queryFn: async () => api.itemsOf(await api.genres()),
  staleTime: HOUR,
});

export const trendingQuery = queryOptions({
  queryKey: ["trending"],
  queryFn: async () => api.itemsOf(await api.trending()),
});

export const latestQuery = queryOptions({
  queryKey: ["latest"],
  queryFn: async () => api.itemsOf(await api.latest()),
});

export const trackQuery = (id: string) =>
  queryOptions({ queryKey: ["track", id], queryFn: () => api.track(id), staleTime: HOUR });

export const similarQuery = (id: string) =>
  queryOptions({
    queryKey: ["similar", id],
    queryFn: async () => api.itemsOf(await api.similar(id)),
    staleTime: HOUR,
  });

export const artistQuery = (id: number) =>
  queryOptions({ queryKey: ["artist", id], queryFn: () => api.artist(id), staleTime: HOUR });

export const genreTracksQuery = (genre: string) =>
  queryOptions({
    queryKey: ["genre-tracks", genre],
    queryFn: () => api.tracks({ genre, limit: 36 }),
    staleTime: HOUR,
  });
