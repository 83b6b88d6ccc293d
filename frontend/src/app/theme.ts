/** Chakra on the tokens of static/tokens.css: one home for colours, fonts, radii and motion. */

import { createSystem, defaultConfig, defineConfig } from "@chakra-ui/react";

const color = (name: string) => ({ value: `var(--${name})` });

const config = defineConfig({
  cssVarsPrefix: "mr",
  preflight: { scope: undefined },
  theme: {
    recipes: { button: { base: { textDecoration: "none" } } },
    tokens: {
      fonts: { heading: { value: "var(--font-heading)" }, body: { value: "var(--font-text)" } },
      radii: {
        card: { value: "var(--radius-card)" },
        control: { value: "var(--radius-control)" },
      },
      durations: { moderate: { value: "140ms" }, fast: { value: "140ms" }, slow: { value: "140ms" } },
    },
    semanticTokens: {
      colors: {
        bg: {
          DEFAULT: color("bg"),
          subtle: color("panel"),
          muted: color("raised"),
          emphasized: color("raised"),
          panel: color("panel"),
        },
        fg: { DEFAULT: color("text"), muted: color("muted"), subtle: color("muted"), error: color("bad"), warning: color("warn"), success: color("good") },
        border: { DEFAULT: color("line"), muted: color("line"), subtle: color("line"), emphasized: color("control-line") },
        accent: {
          solid: color("accent"),
          contrast: color("on-accent"),
          fg: color("accent"),
          muted: color("raised"),
          subtle: color("raised"),
          emphasized: color("accent"),
          focusRing: color("accent"),
          border: color("accent"),
        },
        raised: color("raised"),
        panel: color("panel"),
        line: color("line"),
        muted: color("muted"),
        good: color("good"),
        warn: color("warn"),
        bad: color("bad"),
        gray: {
          solid: color("text"), contrast: color("bg"), fg: color("text"), muted: color("raised"), subtle: color("raised"),
          emphasized: color("line"), focusRing: color("accent"), border: color("control-line"),
        },
      },
      radii: { l1: { value: "4px" }, l2: { value: "var(--radius-control)" }, l3: { value: "var(--radius-card)" } },
      shadows: {
        xs: { value: "none" }, sm: { value: "none" },
        md: { value: "var(--shadow)" }, lg: { value: "var(--shadow)" }, xl: { value: "var(--shadow)" },
      },
    },
  },
  globalCss: {
    // The accent is for the one action of a screen, which asks for it by name.
    html: { colorPalette: "gray" },
  },
});

export const system = createSystem(defaultConfig, config);
