import { gzipSync } from "node:zlib";
import type { Plugin, Rollup } from "vite";

interface Budget {
  /** What the browser loads before the first route, in KiB of gzip. */
  entryKiB: number;
  /** What a lazy route adds to that. */
  routeKiB: number;
}

/** Fail the build when the entry or a route grows over its budget, or the entry holds Recharts. */
export function bundleBudget({ entryKiB, routeKiB }: Budget): Plugin {
  return {
    name: "bundle-budget",
    apply: "build",
    generateBundle(_, bundle) {
      const chunks = Object.values(bundle).filter((file) => file.type === "chunk");
      const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
      const sizes = new Map(
        chunks.map((chunk) => [chunk.fileName, gzipSync(chunk.code).length / 1024]),
      );
      const sum = (names: Iterable<string>) =>
        [...names].reduce((total, name) => total + (sizes.get(name) ?? 0), 0);
      const entry = chunks.find((chunk) => chunk.isEntry);
      if (!entry) throw new Error("bundle-budget: there is no entry");
      const first = reachable(entry, byName);
      const lines = [line("entry", sum(first), entryKiB)];
      for (const chunk of chunks.filter((one) => one.isDynamicEntry)) {
        const own = [...reachable(chunk, byName)].filter((name) => !first.has(name));
        lines.push(line(chunk.name, sum(own), routeKiB));
      }
      this.info(`\n${lines.map(({ text }) => text).join("\n")}`);
      const over = lines.filter(({ isOver }) => isOver);
      if (over.length) this.error(`over budget:\n${over.map(({ text }) => text).join("\n")}`);
      const heavy = [...first].some((name) =>
        Object.keys(byName.get(name)?.modules ?? {}).some((id) => id.includes("node_modules/recharts/")),
      );
      if (heavy) this.error("Recharts is in the entry; import it from a lazy route only");
    },
  };
}

function reachable(start: Rollup.OutputChunk, byName: Map<string, Rollup.OutputChunk>): Set<string> {
  const seen = new Set<string>();
  const open = [start.fileName];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    open.push(...(byName.get(name)?.imports ?? []));
  }
  return seen;
}

function line(name: string, size: number, budget: number) {
  const text = `  ${name.padEnd(24)} ${size.toFixed(1).padStart(7)} KiB gzip of ${budget}`;
  return { text, isOver: size > budget };
}
