/** The server's API: same origin, session cookie and CSRF token; problems become `ApiError`. */

import createClient from "openapi-fetch";
import type { paths } from "./schema";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fields: Record<string, string[]> = {},
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** The server could not be reached, or not in time: nothing is known to have changed. */
export class Unreachable extends Error {
  constructor() {
    super("The server does not answer.");
    this.name = "Unreachable";
  }
}

const TIMEOUT_MS = 15_000;
const SAFE = new Set(["GET", "HEAD"]);

/** Whoever wants to know that the session ended (the router leads to the sign-in page). */
let onSignedOut: () => void = () => undefined;
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

/**
 * Fetch from the server with session and CSRF token; answer only what it took.
 *
 * @throws ApiError when the server refuses; Unreachable when there is no answer at all.
 */
async function send(request: Request, { isQuiet = false } = {}): Promise<Response> {
  const headers = new Headers(request.headers);
  headers.set("Accept", "application/json");
  if (!SAFE.has(request.method)) headers.set("X-CSRFToken", csrfToken());
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT_MS)]);
  let response: Response;
  try {
    response = await fetch(new Request(request, { headers, credentials: "same-origin", signal }));
  } catch (error) {
    if (request.signal.aborted) throw error;
    throw new Unreachable();
  }
  if (response.ok) return response;
  const error = await problemOf(response);
  if (isSignedOut(error) && !isQuiet) onSignedOut();
  throw error;
}

/** The server's interface, typed by its own description. */
export const server = createClient<paths>({ baseUrl: window.location.origin, fetch: (request) => send(request) });
/** The same, for what is asked in the background: a session that ended is an error and no more. */
export const quietServer = createClient<paths>({
  baseUrl: window.location.origin,
  fetch: (request) => send(request, { isQuiet: true }),
});

/** Return the content of a typed answer; `send` threw where there is none. */
export async function contentOf<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T;
}

interface Options {
  method?: string;
  body?: unknown;
  isQuiet?: boolean;
}

/** Call what the server's description leaves out: django-allauth's interface, files, pages by link. */
export async function call<T>(path: string, { method = "GET", body, isQuiet }: Options = {}): Promise<T> {
  const isForm = body instanceof FormData;
  const request = new Request(new URL(path, window.location.origin), {
    method,
    body: body === undefined ? undefined : isForm ? body : JSON.stringify(body),
    headers: body === undefined || isForm ? {} : { "Content-Type": "application/json" },
  });
  const response = await send(request, { isQuiet });
  const text = response.status === 204 ? "" : await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

/** Return whether an error says that nobody is signed in. */
export function isSignedOut(error: unknown): boolean {
  return (
    error instanceof ApiError &&
    (error.status === 401 || (error.status === 403 && error.code === "not_authenticated"))
  );
}

/** Return whether an error may go away by itself, so that trying again later is right. */
export function isTemporary(error: unknown): boolean {
  return (
    error instanceof Unreachable ||
    (error instanceof ApiError && (error.status >= 500 || error.status === 429))
  );
}

function csrfToken(): string {
  const cookie = document.cookie
    .split("; ")
    .find((one) => one.startsWith("csrf=") || one.startsWith("__Host-csrf="));
  return cookie?.slice(cookie.indexOf("=") + 1) ?? "";
}

async function problemOf(response: Response): Promise<ApiError> {
  let problem: Record<string, unknown> = {};
  try {
    problem = (await response.json()) as Record<string, unknown>;
  } catch {
    // a proxy's page, or nothing: the status is all there is
  }
  const fields = fieldsOf(problem);
  const detail =
    (typeof problem.detail === "string" && problem.detail) ||
    Object.values(fields)[0]?.[0] ||
    `The server answered ${response.status}.`;
  const code = typeof problem.code === "string" ? problem.code : `http_${response.status}`;
  return new ApiError(response.status, code, detail, fields);
}

/** Return messages by field: of RFC 9457's `errors` here, and of allauth's list of errors. */
function fieldsOf(problem: Record<string, unknown>): Record<string, string[]> {
  const { errors } = problem;
  if (Array.isArray(errors)) {
    const fields: Record<string, string[]> = {};
    for (const { param = "", message = "" } of errors as { param?: string; message?: string }[]) {
      (fields[param] ??= []).push(message);
    }
    return fields;
  }
  return (errors as Record<string, string[]> | undefined) ?? {};
}
