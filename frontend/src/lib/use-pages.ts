import { useInfiniteQuery, type QueryKey } from "@tanstack/react-query";
import { follow } from "@/api/calls";
import type { Page } from "@/api/types";

/** Read a list page by page, following the server's own links. */
export function usePages<T>(queryKey: QueryKey, first: () => Promise<Page<T>>) {
  const query = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam }) => (pageParam ? follow<T>(pageParam) : first()),
    initialPageParam: "",
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: (old) => old,
  });
  return { ...query, items: query.data?.pages.flatMap((page) => page.results) };
}
