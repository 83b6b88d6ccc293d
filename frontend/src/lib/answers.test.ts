import { dehydrate, hydrate, QueryClient } from "@tanstack/react-query";
import type { PersistedClient } from "@tanstack/react-query-persist-client";
import { isWorthKeeping, serializeAnswers } from "./answers";

test("an answer outlasts a reload after the server went away", async () => {
  const before = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const options = { queryKey: ["rows"], queryFn: () => Promise.resolve({ n: 1 }) };
  await before.fetchQuery(options);
  await expect(before.fetchQuery({ ...options, queryFn: () => Promise.reject(new Error("away")) })).rejects.toThrow("away");
  await expect(before.fetchQuery({ queryKey: ["never"], queryFn: () => Promise.reject(new Error("away")) })).rejects.toThrow("away");

  const clientState = dehydrate(before, { shouldDehydrateQuery: isWorthKeeping });
  const kept = JSON.parse(serializeAnswers({ timestamp: 1, buster: "", clientState })) as PersistedClient;
  const after = new QueryClient();
  hydrate(after, kept.clientState);

  expect(after.getQueryState(["rows"])).toMatchObject({ status: "success", error: null, data: { n: 1 } });
  expect(after.getQueryState(["never"])).toBeUndefined();
});
