"""The palette of static/tokens.css: readable on every surface, the same however it is chosen."""

import re
from pathlib import Path

import pytest

TOKENS = (Path(__file__).parents[2] / "static" / "tokens.css").read_text(encoding="utf-8")
SURFACES = ("bg", "panel", "raised")
STRATEGIES = ("neural-cf", "content-based", "hybrid-ensemble", "trending", "discovery")
TEXTS = ("text", "muted", "accent", "good", "warn", "bad", *STRATEGIES)


def block(selector):
    body = TOKENS.split(selector + " {", 1)[1].split("}", 1)[0]
    return dict(re.findall(r"--([a-z-]+):\s*([^;]+);", body))


THEMES = {"dark": block(":root"), "light": block(':root[data-theme="light"]')}


def luminance(colour):
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("text", TEXTS)
def test_text_is_readable_on_every_surface(theme, surface, text):
    assert contrast(THEMES[theme][text], THEMES[theme][surface]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_the_accent_carries_its_own_text(theme):
    assert contrast(THEMES[theme]["on-accent"], THEMES[theme]["accent"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("surface", SURFACES)
def test_the_edge_of_a_control_can_be_seen(theme, surface):
    assert contrast(THEMES[theme]["control-line"], THEMES[theme][surface]) >= 3


def test_following_the_system_gives_the_same_light_theme_as_choosing_it():
    assert block(':root:not([data-theme="dark"])') == THEMES["light"]
