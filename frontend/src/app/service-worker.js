// Keeps the page and its files, so that the client opens while the server is away.  What the
// listener was shown lies in IndexedDB (src/lib/store.ts), never here: this cache is nobody's.
// The build writes VERSION and FILES (scripts/offline-shell.ts).
const SHELL = `shell-${VERSION}`;
const COVERS = "covers";
const MOST_COVERS = 400;
const PAGE = "/app/";

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(SHELL)
      .then((cache) => cache.addAll([...FILES, new Request(PAGE, { cache: "reload" })])),
  );
  // No skipWaiting: an open page keeps the files that it was built with.
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith("shell-") && name !== SHELL) await caches.delete(name);
      }
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  const { origin, pathname } = new URL(request.url);
  if (origin !== self.location.origin) return;
  if (request.mode === "navigate" && pathname.startsWith(PAGE)) event.respondWith(page(request));
  else if (pathname.startsWith("/static/")) event.respondWith(file(request));
  else if (/^\/(tracks|genres)\/[^/]+\/cover\.svg$/.test(pathname)) event.respondWith(cover(request));
});

/** The server's page; the kept one where the server does not answer or stands behind a closed door. */
async function page(request) {
  try {
    const answer = await fetch(request);
    if (answer.status < 502) return answer;
  } catch {
    // offline, or nobody listens
  }
  return (await caches.match(PAGE)) ?? Response.error();
}

async function file(request) {
  const isNamedByContent = new URL(request.url).pathname.startsWith("/static/app/assets/");
  const kept = await caches.match(request);
  if (kept && isNamedByContent) return kept;
  try {
    return await fetch(request);
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}

async function cover(request) {
  const cache = await caches.open(COVERS);
  const kept = await cache.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.ok) {
    await cache.put(request, answer.clone());
    const keys = await cache.keys();
    if (keys.length > MOST_COVERS) await cache.delete(keys[0]);
  }
  return answer;
}
