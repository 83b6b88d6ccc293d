// Writes src/api/schema.d.ts from the server's OpenAPI description; with --check, fails on drift.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";

const root = fileURLToPath(new URL("../..", import.meta.url));
const target = fileURLToPath(new URL("../src/api/schema.d.ts", import.meta.url));
const python = existsSync(`${root}/.venv/bin/python`) ? `${root}/.venv/bin/python` : "python3";
const description = execFileSync(python, ["manage.py", "spectacular", "--format", "openapi-json"], {
  cwd: root,
  env: { DJANGO_SETTINGS_MODULE: "musicrec.test_settings", ...process.env },
  maxBuffer: 64 * 1024 * 1024,
  stdio: ["ignore", "pipe", "inherit"],
});
const types =
  "// Written by `npm run api:types` from the server's OpenAPI description. Not edited by hand.\n" +
  astToString(await openapiTS(JSON.parse(description.toString())));

if (process.argv.includes("--check")) {
  if (!existsSync(target) || readFileSync(target, "utf-8") !== types) {
    console.error("src/api/schema.d.ts is not what the server describes: run `npm run api:types`.");
    process.exit(1);
  }
} else {
  writeFileSync(target, types);
}
