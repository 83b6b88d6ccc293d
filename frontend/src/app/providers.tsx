import createCache from "@emotion/cache";
import { CacheProvider } from "@emotion/react";
import { ChakraProvider } from "@chakra-ui/react";
import { createAsyncStoragePersister } from "@tanstack/query-async-storage-persister";
import { QueryClient } from "@tanstack/react-query";
import { PersistQueryClientProvider } from "@tanstack/react-query-persist-client";
import type { ReactNode } from "react";
import { isTemporary } from "@/api/client";
import { isWorthKeeping, serializeAnswers } from "@/lib/answers";
import { answerStorage } from "@/lib/store";
import { system } from "./theme";

const DAY = 24 * 60 * 60 * 1000;

export function createQueries(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        networkMode: "always", // the server may be on this machine; only asking tells
        gcTime: 7 * DAY,
        staleTime: 60_000,
        refetchOnWindowFocus: false,
        retry: (failures, error) => failures < 2 && isTemporary(error),
        retryDelay: (attempt) => 500 * 2 ** attempt,
      },
      mutations: { networkMode: "always" },
    },
  });
}

const queries = createQueries();
const persister = createAsyncStoragePersister({ storage: answerStorage, key: "answers", throttleTime: 1000, serialize: serializeAnswers });

// Emotion's style elements carry the page's nonce; nothing else may write styles.
const nonce = document.querySelector<HTMLElement>("meta[property='csp-nonce']")?.nonce || undefined;
const styleCache = createCache({ key: "mr", nonce });

/** What every screen stands on: styles, and answers that outlast a reload. */
export function Providers({ children }: { children: ReactNode }) {
  return (
    <CacheProvider value={styleCache}>
      <ChakraProvider value={system}>
        <PersistQueryClientProvider
          client={queries}
          persistOptions={{
            persister,
            maxAge: 7 * DAY,
            buster: __BUILD__,
            dehydrateOptions: { shouldDehydrateQuery: isWorthKeeping },
          }}
        >
          {children}
        </PersistQueryClientProvider>
      </ChakraProvider>
    </CacheProvider>
  );
}
