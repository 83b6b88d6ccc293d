import { queryOptions, useQuery } from "@tanstack/react-query";
import { me, state } from "@/api/calls";

export const meQuery = queryOptions({ queryKey: ["me"], queryFn: me, staleTime: 30_000 });

/** A word that changes whenever anything of the listener does, wherever it was done. */
export const stateQuery = queryOptions({ queryKey: ["state"], queryFn: state, staleTime: 0, retry: false });

/** The music service of one's choice; the first one until it is known. */
export function useMusicService(): string {
  return useQuery(meQuery).data?.music_service ?? "";
}
