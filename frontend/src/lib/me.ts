import { queryOptions, useQuery } from "@tanstack/react-query";
import { me } from "@/api/calls";

export const meQuery = queryOptions({ queryKey: ["me"], queryFn: me, staleTime: 30_000 });

/** The music service of one's choice; the first one until it is known. */
export function useMusicService(): string {
  return useQuery(meQuery).data?.music_service ?? "";
}
