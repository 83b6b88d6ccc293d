"""Every page of the console: no serious fault of access, within its width, kept as a picture."""

import pytest
from axe_playwright_python.sync_playwright import Axe

PAGES = {
    "overview": "/analytics",
    "system": "/analytics/system-metrics",
    "models": "/analytics/models",
    "promote": "/analytics/models/promote?version={first}",
    "compare": "/analytics/models/compare?first={first}&second={second}&listener={listener}",
    "experiments": "/analytics/ab-testing",
    "bandit": "/analytics/contextual-bandits",
    "listeners": "/analytics/listeners?q={listener}x",
    "slate": "/analytics/slates/{slate}?what_if=trending",
    "catalogue": "/analytics/catalogue",
    "upload": "/analytics/catalogue/import",
    "dead-letters": "/analytics/dead-letters",
    "audit-log": "/analytics/audit-log",
    "roles": "/analytics/roles",
    "definitions": "/analytics/definitions",
    "search": "/analytics/search?q={listener}",
    "admin": "/admin/",
    "admin-tracks": "/admin/recommendations/track/",
    "admin-track": "/admin/recommendations/track/add/",
    "admin-lists": "/admin/recommendations/recommendation/",
}
STOCK = ("admin", "admin-tracks", "admin-track", "admin-lists")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "dark"), (1280, "light"), (390, "dark"), (390, "light")]
)
def test_pages_are_sound_for_everybody(sign_in, console, keep_screenshot, width, scheme):
    # axe measures by styles of its own, which the policy would stop; see `test_policy.py` for that.
    page = sign_in("administrator", width=width, scheme=scheme, bypass_csp=True)
    found = []
    for name, address in PAGES.items():
        page.goto(address.format(**console.facts))
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        if overflow > 0:
            found.append(f"{name}: {overflow} px wider than the screen")
        keep_screenshot(page, f"{name}-{width}-{scheme}")
        for violation in Axe().run(page, options=RULES).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                nodes = "; ".join(str(node["target"]) for node in violation["nodes"][:3])
                found.append(f"{name}: {violation['id']} at {nodes}")
    assert found == []
