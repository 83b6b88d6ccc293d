/** Which answers outlast a reload, and as what. */

import type { Query } from "@tanstack/react-query";
import type { PersistedClient } from "@tanstack/react-query-persist-client";

/** An answer is kept even where asking again failed: away from the server it is all there is. */
export const isWorthKeeping = (query: Query) => query.state.data !== undefined;

/** Write answers as they came; that asking again failed says nothing of the next visit. */
export function serializeAnswers({ clientState, ...rest }: PersistedClient): string {
  const queries = clientState.queries.map((query) => ({
    ...query,
    state: { ...query.state, status: "success", error: null, fetchFailureCount: 0, fetchFailureReason: null },
  }));
  return JSON.stringify({ ...rest, clientState: { ...clientState, queries } });
}
