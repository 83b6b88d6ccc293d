"""No page breaks the policy of what it may load and run (CSP), whoever opens it."""

import json
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error

from accounts.tests.test_headless import code_of
from e2e.conftest import at
from e2e.console.world import SECRET

# Tables of which the world has no row, so that only their lists and forms can be looked at.
NO_ROWS = {"archive", "clockedschedule", "crontabschedule", "solarschedule"}
BY_MAIL = {"account_confirm_email", "account_reset_password_from_key"}
STAFFS = ("/admin/", "/analytics")
OWN = ("/account/", "/app/", "/docs")
BREAK = """
import sys, django
django.setup()
from django.db import connection
connection.cursor().execute(sys.argv[1])
"""


class Browsing:
    """Somebody at a browser, and what it complained of.

    Attributes:
        page: theirs.
        broken: each violation of a policy and each error of a script, with the page.
        seen: pages of HTML that were opened, with their status.
    """

    def __init__(self, context):
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation', e => console.error("
            "`Content Security Policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`))"
        )
        self.broken, self.seen = [], {}
        self.page = context.new_page()
        self.page.on("response", self._see)
        self.page.on("pageerror", lambda error: self._note(str(error)))
        self.page.on(
            "console",
            lambda said: self._note(said.text) if "Content Security Policy" in said.text else None,
        )

    def _note(self, text):
        self.broken.append(f"{self.page.url}: {text}")

    def _see(self, answer):
        """Note the pages that come, also those that a script leads on to."""
        is_page = answer.headers.get("content-type", "").startswith("text/html")
        if answer.request.is_navigation_request() and is_page and not 300 <= answer.status < 400:
            self.seen[urlsplit(answer.url).path] = answer.status
            if "default-src" not in answer.headers.get("content-security-policy", ""):
                self._note(f"{answer.url} came without a policy")

    def open(self, address):
        """Go there and wait for its scripts; return the status, None where it is no page."""
        try:
            answer = self.page.goto(address)
        except Error as error:
            if "Download is starting" in str(error) or "ERR_ABORTED" in str(error):
                return None
            if "ERR_HTTP_RESPONSE_CODE_FAILURE" in str(error):  # an error without any page
                self.page.wait_for_url("chrome-error://**")
                return self.page.request.get(address, max_redirects=0).status
            raise
        if self.page.locator("script[src]").count() and not address.startswith("/admin/"):
            self.page.wait_for_load_state("networkidle")
        return answer.status if answer else None

    def log_in(self, email, password):
        self.page.goto("/account/login")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.locator("main").get_by_role("button").first.click()

    def confirm(self, password):
        """Say the password once more, as pages want that change what one logs in with."""
        self.page.goto("/account/confirm")
        self.page.get_by_label("Password", exact=True).fill(password)
        asked = at(urlsplit(self.page.url).path)
        self.page.locator("main").get_by_role("button").first.click()
        self.page.wait_for_url(lambda url: not asked(url))


@pytest.fixture
def browse(console, browser):
    """Returns somebody new at a browser; what broke a policy fails the test."""
    contexts, all_of_them = [], []

    def browse():
        context = browser.new_context(base_url=console.url, accept_downloads=True)
        context.set_default_timeout(30_000)
        contexts.append(context)
        all_of_them.append(Browsing(context))
        return all_of_them[-1]

    yield browse
    for context in contexts:
        context.close()
    broken = [text for one in all_of_them for text in one.broken]
    assert not broken, "\n".join(broken)


@pytest.fixture
def addresses(console):
    """Returns every address by name, as they are now: with rows of who has logged in meanwhile."""
    return lambda: json.loads(console.run("-m", "e2e.console.addresses").splitlines()[-1])


def open_all(somebody, addresses):
    statuses = {address: somebody.open(address) for address in addresses}
    faults = {address: status for address, status in statuses.items() if (status or 0) >= 500}
    assert faults == {}


def test_no_page_breaks_its_policy(browse, console, addresses):
    root = browse()
    root.log_in("root@example.com", console.facts["password"])
    root.page.wait_for_url(at("/app/"))
    root.confirm(console.facts["password"])
    found = addresses()
    empty = {name.split("_")[-2] for name, address in found if not address and "/" not in name}
    assert empty <= NO_ROWS
    # A link in a mail to somebody else ends the session: visitors follow them, below.
    open_all(root, {one: 0 for name, one in found if one and name not in BY_MAIL})
    # What the list must have led to, whatever it is made from.
    wanted = {
        "/": 200, "/docs": 200, "/app/": 200, "/account/": 200, "/account/sessions": 200,
        "/account/second-factor/totp/activate/": 200, "/analytics": 200,
        "/admin/": 200, "/admin/recommendations/track/add/": 200, "/admin/auth/group/add/": 200,
        "/admin/experiments/experiment/template/": 200,
    }  # fmt: skip
    assert wanted.items() <= root.seen.items()
    changed = [path for path, status in root.seen.items() if path.endswith("/change/")]
    assert len(changed) >= 18


def test_no_page_of_a_visitor_or_a_listener_breaks_its_policy(browse, console, addresses):
    found = {address: name for name, address in addresses() if address}
    visitor = browse()
    open_all(visitor, [address for address in found if not address.startswith(STAFFS)])
    assert {"/", "/docs", "/account/login", "/account/register"} <= visitor.seen.keys()
    assert any(path.endswith("-set-password") for path in visitor.seen)
    listener = browse()
    listener.log_in("mia@example.com", console.facts["password"])
    listener.page.wait_for_url(at("/account/second-factor/authenticate/"))
    listener.page.wait_for_load_state("networkidle")
    listener.page.locator("input[name=code]").fill(code_of(SECRET))
    listener.page.locator("main").get_by_role("button").first.click()
    listener.page.wait_for_url(at("/app/"))
    listener.confirm(console.facts["password"])
    pages = [address for address in found if address == "/" or address.startswith(OWN)]
    open_all(listener, [address for address in pages if found[address] not in BY_MAIL])
    for page in ("recovery-codes/", "totp/deactivate/"):
        assert listener.seen[f"/account/second-factor/{page}"] == 200


def test_no_page_of_an_error_breaks_its_policy(browse, console):
    visitor, viewer = browse(), browse()
    assert visitor.open("/nowhere") == 404
    assert visitor.open(console.url.replace("127.0.0.1", "localhost")) == 400  # not its name
    visitor.open("/account/login")
    visitor.page.context.clear_cookies()
    with visitor.page.expect_response(lambda answer: answer.request.method == "POST") as refused:
        visitor.page.get_by_label("Email").fill("mia@example.com")
        visitor.page.get_by_label("Password", exact=True).fill("whatever it is")
        visitor.page.locator("main").get_by_role("button").first.click()
    assert refused.value.status == 403
    viewer.log_in("viewer@example.com", console.facts["password"])
    viewer.page.wait_for_url(at("/app/"))
    assert viewer.open("/analytics/audit-log") == 403
    assert viewer.open("/admin/nowhere/") == 404
    console.run("-c", BREAK, "ALTER TABLE recommendations_trainingrun RENAME TO elsewhere")
    try:
        assert viewer.open("/analytics/models") == 500
    finally:
        console.run("-c", BREAK, "ALTER TABLE elsewhere RENAME TO recommendations_trainingrun")
    assert {400, 403, 404} == set(visitor.seen.values())
    assert {403, 404, 500} <= set(viewer.seen.values())


def test_what_breaks_a_policy_is_noticed(console, browser):
    somebody = Browsing(browser.new_context(base_url=console.url))
    somebody.open("/account/login")
    # The browser's own complaint comes first; the event of the page follows in a task of its own.
    with somebody.page.expect_console_message(lambda said: "script-src-elem inline" in said.text):
        somebody.page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: '1 + 1'}))"
        )
    assert len(somebody.broken) == 2, somebody.broken
    assert "script-src-elem inline" in somebody.broken[-1]
    somebody.page.context.close()
