import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

/** Write the service worker with the names of everything that was built. */
export function offlineShell({ source, version }: { source: string; version: string }): Plugin {
  let base = "/";
  return {
    name: "offline-shell",
    apply: "build",
    configResolved(config) {
      base = config.base;
    },
    generateBundle(_, bundle) {
      const files = Object.keys(bundle)
        .filter((name) => name.startsWith("assets/"))
        .map((name) => base + name);
      files.push("/static/theme.js", "/static/icons/favicon.svg"); // what index.html asks for besides
      this.emitFile({
        type: "asset",
        fileName: "sw.js",
        source: `const VERSION = ${JSON.stringify(version)};\nconst FILES = ${JSON.stringify(files)};\n${readFileSync(source, "utf-8")}`,
      });
    },
  };
}
