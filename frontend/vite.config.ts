import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { bundleBudget } from "./scripts/bundle-budget.ts";
import { offlineShell } from "./scripts/offline-shell.ts";

// Where Django listens while Vite serves the client with hot reload.
const django = process.env.DJANGO ?? "http://127.0.0.1:8000";
const served = [
  "_allauth", "account", "admin", "analytics", "artists", "auth", "docs", "feedback", "genres", "latest", "me",
  "preferences", "recommend", "search", "tracks", "trending",
];

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Names this version of the sources: answers that an older one kept are not read by it. */
function version(): string {
  const source = path("src");
  const hash = createHash("sha256");
  for (const file of readdirSync(source, { recursive: true, withFileTypes: true }).sort((a, b) =>
    `${a.parentPath}/${a.name}` < `${b.parentPath}/${b.name}` ? -1 : 1,
  )) {
    if (file.isFile()) hash.update(readFileSync(`${file.parentPath}/${file.name}`));
  }
  return hash.digest("hex").slice(0, 16);
}

export default defineConfig(({ command }) => ({
  // Built, the files are static files of Django; in development Vite serves the page itself.
  base: command === "build" ? "/static/app/" : "/app/",
  plugins: [
    react(),
    bundleBudget({ entryKiB: 250, routeKiB: 130 }),
    offlineShell({ source: path("src/app/service-worker.js"), version: version() }),
  ],
  define: { __BUILD__: JSON.stringify(version()) },
  resolve: { alias: { "@": path("src") } },
  html: { cspNonce: "__CSP_NONCE__" },
  build: {
    outDir: "../static/app",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
    rolldownOptions: {
      output: {
        // Few files instead of many small ones: what every screen shares comes in one piece.
        codeSplitting: {
          groups: [
            { name: "shared", test: /[\\/]src[\\/](api|components|lib)[\\/](?!track-sheet|preview|figure)/ },
            { name: "react", test: /node_modules[\\/](react|react-dom|react-router|scheduler|@tanstack|idb)[\\/]/ },
          ],
        },
      },
    },
  },
  server: {
    fs: { allow: [".", "../static"] },
    proxy: Object.fromEntries([
      ...served.map((path) => [`^/${path}(/|\\?|$)`, { target: django }]),
      ["/static", { target: django }],
    ]),
  },
  test: {
    environment: "jsdom",
    globals: true,
    setupFiles: "./src/test/setup.ts",
    css: false,
    restoreMocks: true,
    testTimeout: 30_000,
    expect: { poll: { timeout: 8000 } }, // as long as testing-library waits; see src/test/setup.ts
  },
}));
