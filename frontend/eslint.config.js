import { readdirSync } from "node:fs";
import js from "@eslint/js";
import jsxA11y from "eslint-plugin-jsx-a11y";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

// app imports features, features import components, components import lib, lib imports api; no
// feature knows another.  The zones come from the folders, so a new feature is held to it at once.
const features = readdirSync(new URL("src/features", import.meta.url));
const zone = (files, ...forbidden) => ({
  files,
  ignores: ["**/*.test.tsx"],
  rules: {
    "no-restricted-imports": ["error", { patterns: forbidden.map((group) => ({ group: [group] })) }],
  },
});

export default tseslint.config(
  { ignores: ["node_modules", "src/api/schema.d.ts"] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  jsxA11y.flatConfigs.recommended,
  reactHooks.configs.flat.recommended,
  {
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      // The first screen's refs are read in effects only; what the compiler-minded rules guess at
      // beyond hooks' own two rules is not used here.
      "react-hooks/refs": "off",
      "react-hooks/set-state-in-effect": "off",
      // An article of a list of cards takes the focus, as in ARIA's feed pattern.
      "jsx-a11y/no-noninteractive-tabindex": ["error", { tags: ["main", "article"], roles: ["tabpanel"] }],
      "jsx-a11y/no-noninteractive-element-interactions": "off",
      "jsx-a11y/aria-proptypes": "off", // Chakra's slider takes a label per thumb
      "jsx-a11y/label-has-associated-control": ["error", { controlComponents: ["Input"], depth: 3 }],
    },
  },
  {
    files: ["src/app/service-worker.js"],
    languageOptions: {
      globals: { self: "readonly", caches: "readonly", fetch: "readonly", Request: "readonly", Response: "readonly", URL: "readonly", VERSION: "readonly", FILES: "readonly" },
    },
  },
  {
    files: ["scripts/*.mjs", "eslint.config.js"],
    languageOptions: { globals: { process: "readonly", console: "readonly", URL: "readonly" } },
  },
  zone(["src/api/**"], "@/lib/*", "@/components/*", "@/features/*", "@/app/*"),
  zone(["src/lib/**"], "@/components/*", "@/features/*", "@/app/*"),
  zone(["src/components/**"], "@/features/*", "@/app/*"),
  ...features.map((name) =>
    zone([`src/features/${name}/**`], "@/app/*", ...features.filter((other) => other !== name).map((other) => `@/features/${other}/*`)),
  ),
);
