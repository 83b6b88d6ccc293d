import { http, HttpResponse } from "msw";
import { setupServer } from "msw/node";
import { makeMe, makeRow } from "./data";

let changes = 0;

/** What every screen asks; a test replaces what it is about. */
export const server = setupServer(
  http.get("/me", () => HttpResponse.json(makeMe())),
  http.get("/me/state", () => HttpResponse.json({ version: String(changes) })),
  http.post("/recommend/rows", () =>
    HttpResponse.json({ rows: [makeRow("for_now", [1, 2, 3, 4]), makeRow("rising", [5, 6])] }),
  ),
);

// What a listener does makes another version, whichever handler answers it.
server.events.on("request:start", ({ request }) => {
  if (request.method !== "GET" && /^\/(feedback|me\/hidden)/.test(new URL(request.url).pathname)) changes += 1;
});

/** Answer a request with a problem as the server describes them. */
export const problem = (status: number, code: string, detail: string) =>
  HttpResponse.json({ type: "about:blank", title: code, status, detail, code }, { status });
