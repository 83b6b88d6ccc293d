"""Every screen: free of serious accessibility faults, as wide as the window, and photographed."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from e2e.conftest import IMAGES_THERE, KEPT, Person, until

SCREENS = {
    "for-you": "/",
    "welcome": "/welcome",
    "search": "/search",
    "results": "/search?q=love",
    "library": "/library",
    "history": "/library?show=history",
    "hidden": "/library?show=hidden",
    "taste": "/taste?period=all",
    "settings": "/settings",
    "missing": "/nowhere",
}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture
def listener(person: Person) -> Person:
    """Return somebody with a little of everything behind them."""
    found = person.call("GET", "/tracks?limit=12")["results"]
    acts = [("rating", 5), ("rating", 2), ("like", None), ("save", None), ("play", None)]
    for i, track in enumerate(found[:10]):
        kind, rating = acts[i % len(acts)]
        body = {"track_id": track["track_id"], "kind": kind}
        person.call("POST", "/feedback", body | ({"rating": rating} if rating else {}))
    person.call("POST", "/me/hidden", {"track_id": found[10]["track_id"], "days": 7})
    person.track = found[0]
    return person


def screens_of(listener):
    """Return all screens, with a track's, an artist's and a genre's."""
    track = listener.track
    return SCREENS | {
        "track": f"/tracks/{track['track_id']}",
        "artist": f"/artists/{track['artist_id']}",
        "genre": f"/genres/{track['genres'][0]}",
    }


def settle(listener, path):
    listener.page.goto(f"{listener.base_url}/app{path}")
    expect(listener.page.locator("main").locator("h1, h2").first).to_be_visible()
    expect(listener.page.locator('main [role="status"][aria-label^="Loading"]')).to_have_count(0)
    until(listener.page, IMAGES_THERE)
    listener.page.evaluate("document.fonts.ready.then(() => undefined)")


@pytest.mark.parametrize(
    ("width", "theme"),
    [(390, "dark"), (390, "light"), (1280, "dark"), (1280, "light"), (1920, "dark")],
)
def test_screens(listener, width, theme):
    page = listener.page
    page.set_viewport_size({"width": width, "height": 844 if width < 600 else 900})
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    folder = KEPT / "screens"
    folder.mkdir(parents=True, exist_ok=True)
    faults = []
    for name, path in screens_of(listener).items():
        settle(listener, path)
        page.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            faults.append(f"{name}: {wide} px wider than the window")
        if width != 1920:
            found = Axe().run(page, options=RULES).response["violations"]
            faults += [
                f"{name}: {fault['id']} {node['target']} {node['failureSummary']}"
                for fault in found
                for node in fault["nodes"][:3]
            ]
    assert not faults, "\n".join(faults)


def test_sheet_of_a_track_and_the_keys_are_accessible(listener):
    page = listener.page
    page.emulate_media(reduced_motion="reduce")  # while a dialog fades in, its colours are others
    listener.open("/")
    listener.cards().first.get_by_role("button", name="Why this, and more").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.screenshot(path=KEPT / "screens" / "sheet-1280-dark.png")
    assert not Axe().run(page, options=RULES).response["violations"]
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert not Axe().run(page, options=RULES).response["violations"]
