import { http, HttpResponse } from "msw";
import { setupServer } from "msw/node";
import { makeMe, makeRow } from "./data";

/** What every screen asks; a test replaces what it is about. */
export const server = setupServer(
  http.get("/me", () => HttpResponse.json(makeMe())),
  http.get("/me/state", () => HttpResponse.json({ version: "1" })),
  http.post("/recommend/rows", () =>
    HttpResponse.json({ rows: [makeRow("for_now", [1, 2, 3, 4]), makeRow("rising", [5, 6])] }),
  ),
);

/** Answer a request with a problem as the server describes them. */
export const problem = (status: number, code: string, detail: string) =>
  HttpResponse.json({ type: "about:blank", title: code, status, detail, code }, { status });
