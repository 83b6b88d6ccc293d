import { ChakraProvider } from "@chakra-ui/react";
import { QueryClientProvider } from "@tanstack/react-query";
import { render } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { ReactNode } from "react";
import { createMemoryRouter, RouterProvider } from "react-router";
import { createQueries } from "@/app/providers";
import { Shell } from "@/app/shell";
import { system } from "@/app/theme";
import { database } from "@/lib/store";

/** Show a screen in its frame, with nothing kept from the test before. */
export async function show(screen: ReactNode, { path = "/", at = path }: { path?: string; at?: string } = {}) {
  const db = await database();
  await db.clear("acts");
  const queries = createQueries();
  queries.setDefaultOptions({ queries: { ...queries.getDefaultOptions().queries, retry: false } });
  const router = createMemoryRouter([{ element: <Shell />, children: [{ path, element: screen }, { path: "*", element: <p>elsewhere</p> }] }], {
    initialEntries: [at],
  });
  const user = userEvent.setup();
  const view = render(
    <ChakraProvider value={system}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </ChakraProvider>,
  );
  return { user, queries, router, ...view };
}
