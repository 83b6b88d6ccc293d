import { queryOptions, useQuery } from "@tanstack/react-query";
import { me, state } from "@/api/calls";
import { isSignedOut } from "@/api/client";
import type { Me } from "@/api/types";
import { Observable } from "./observable";

/** Who is signed in, as the server told this page; what an earlier visit kept says nothing of it. */
export const signedIn = new Observable<string | undefined>(undefined);

/** Ask the server who is signed in. */
export async function askWhoIsSignedIn(): Promise<Me> {
  try {
    const answer = await me();
    signedIn.set(answer.user_id);
    return answer;
  } catch (error) {
    if (isSignedOut(error)) signedIn.set(undefined);
    throw error;
  }
}

export const meQuery = queryOptions({ queryKey: ["me"], queryFn: askWhoIsSignedIn, staleTime: 30_000 });

/** A word that changes whenever anything of the listener does, wherever it was done. */
export const stateQuery = queryOptions({ queryKey: ["state"], queryFn: state, staleTime: 0, retry: false });

/** The music service of one's choice; the first one until it is known. */
export function useMusicService(): string {
  return useQuery(meQuery).data?.music_service ?? "";
}
