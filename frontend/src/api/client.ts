/** The server's API: same origin, session cookie and CSRF token; problems become `ApiError`. */

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

export type Query = Record<string, string | number | boolean | null | undefined>;

const TIMEOUT_MS = 15_000;
const SAFE = new Set(["GET", "HEAD"]);

/** Whoever wants to know that the session ended (the router leads to the sign-in page). */
let onSignedOut: () => void = () => undefined;
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

interface Options {
  method?: string;
  query?: Query;
  body?: unknown;
  signal?: AbortSignal;
  /** Answer 401 as an error and stay on the page. */
  quiet?: boolean;
}

/**
 * Call the server and return what it answers, `undefined` for an empty answer.
 *
 * @throws ApiError when the server refuses; Unreachable when there is no answer at all.
 */
export async function call<T>(path: string, options: Options = {}): Promise<T> {
  const { method = "GET", query, body, signal, quiet = false } = options;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const headers = new Headers({ Accept: "application/json" });
  if (!SAFE.has(method)) headers.set("X-CSRFToken", csrfToken());
  const isForm = body instanceof FormData;
  if (body !== undefined && !isForm) headers.set("Content-Type", "application/json");
  let response: Response;
  try {
    response = await fetch(address(path, query), {
      method,
      headers,
      body: body === undefined ? undefined : isForm ? body : JSON.stringify(body),
      credentials: "same-origin",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable();
  }
  if (response.ok) return (await contentOf(response)) as T;
  const error = await problemOf(response);
  if (isSignedOut(error) && !quiet) onSignedOut();
  throw error;
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

function address(path: string, query: Query = {}): string {
  const url = new URL(path, window.location.origin);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") {
      url.searchParams.set(name, String(value));
    }
  }
  return url.toString();
}

function csrfToken(): string {
  const cookie = document.cookie
    .split("; ")
    .find((one) => one.startsWith("csrf=") || one.startsWith("__Host-csrf="));
  return cookie?.slice(cookie.indexOf("=") + 1) ?? "";
}

async function contentOf(response: Response): Promise<unknown> {
  if (response.status === 204) return undefined;
  const text = await response.text();
  return text ? JSON.parse(text) : undefined;
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
