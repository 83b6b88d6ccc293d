"""The whole system, started as `make run` starts it, and people who use it in a browser.

`E2E_URL` names a system that runs already; otherwise one is started under `var/e2e/server`, and its
database is kept for the next time.  What a screen looked like is kept under `var/e2e/`.
"""

import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "var" / "e2e"
START_SECONDS = 900  # the first time loads the demo and trains a model, on two busy cores
PASSWORD = "a fairly long pass phrase"
IMAGES_THERE = "() => [...document.images].every(i => i.loading === 'lazy' || i.complete)"

expect.set_options(timeout=20_000)


@pytest.fixture(autouse=True)
def nothing_remembered():
    """Leave out what the unit tests do to this process: the server is another one."""


@pytest.fixture(autouse=True)
def no_calls_counted():
    """As above."""


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    """Return the address of a system that answers."""
    if url := os.environ.get("E2E_URL"):
        yield url.rstrip("/")
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    KEPT.mkdir(parents=True, exist_ok=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name
        not in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "MUSICREC_THROW_AWAY")
    } | {
        "PORT": str(port),
        "MUSICREC_VAR": str(KEPT / "server"),
        "DJANGO_SECRET_KEY": "a secret for browser tests only",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "DJANGO_HTTPS": "false",
    }
    with (KEPT / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "musicrec.run"], cwd=ROOT, env=environment,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            _wait_for(f"{url}/readyz", process)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the server ended with {process.returncode}; see {KEPT / 'server.log'}")
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 (our own address)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"nothing answered at {url}; see {KEPT / 'server.log'}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return the distribution's Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("There is no chromium. On Debian: apt-get install chromium.")
    with sync_playwright() as playwright:
        # In a container there is no user to drop to, hence no sandbox.
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@dataclass
class Person:
    """Somebody with an account, at a browser of their own."""

    page: Page
    email: str
    base_url: str

    def open(self, path: str = "/") -> None:
        """Go to a screen of the client and wait until it is there."""
        self.page.goto(f"{self.base_url}/app{path}")
        expect(self.page.locator("main h1").first).to_be_visible()

    def call(self, method: str, path: str, body: object = None) -> object:
        """Call the API as the client would, and return what it answers."""
        cookies = self.page.context.cookies(self.base_url)
        csrf = next((one["value"] for one in cookies if one["name"].endswith("csrf")), "")
        answer = self.page.request.fetch(
            self.base_url + path,
            method=method,
            data=body,
            headers={"X-CSRFToken": csrf, "Accept": "application/json", "Referer": self.base_url},
        )
        assert answer.ok, f"{method} {path}: {answer.status} {answer.text()[:300]}"
        return answer.json() if answer.body() else None

    def cards(self, row: str = "for_now"):
        """Return the cards of a row."""
        return self.page.locator(f'[data-row="{row}"] [data-card]')

    def titles(self, row: str = "for_now") -> list[str]:
        """Return the titles of a row, in order."""
        return self.page.locator(f'[data-row="{row}"] [data-card] h3').all_inner_texts()


_numbers = itertools.count(1)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Return a browser of its own, with nothing in it; complaints of its pages fail the test."""
    opened = browser.new_context(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if "Content Security Policy" in message.text
                else None
            ),
        )

    opened.on("page", watch)
    yield opened
    opened.close()
    assert not complaints, complaints


@pytest.fixture
def newcomer(context: BrowserContext, base_url: str) -> Person:
    """Return somebody who just signed up, at what they are asked first."""
    page = context.new_page()
    email = f"mia-{next(_numbers)}-{secrets.token_hex(4)}@example.org"
    page.goto(f"{base_url}/account/register")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=False).first.fill(PASSWORD)
    page.get_by_role("button", name="Create my account").click()
    page.wait_for_url("**/app/welcome")
    return Person(page, email, base_url)


@pytest.fixture
def person(newcomer: Person) -> Person:
    """Return somebody whose first questions are answered, at their lists."""
    newcomer.call(
        "POST", "/preferences/set", {"genres": ["rock", "soul"], "artists": [], "mood": "happy"}
    )
    newcomer.call("PATCH", "/me", {"onboarded": True})
    newcomer.open("/")
    expect(newcomer.cards().first).to_be_visible()
    return newcomer


@pytest.fixture
def sign_in(browser: Browser, base_url: str) -> Iterator[Callable[[str], Person]]:
    """Return how to sign somebody in at another browser."""
    opened: list[BrowserContext] = []

    def at_another_browser(email: str) -> Person:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        opened.append(context)
        page = context.new_page()
        page.goto(f"{base_url}/account/login?next=/app/")
        fill_in_login(page, email)
        page.wait_for_url(at("/app/"))
        return Person(page, email, base_url)

    yield at_another_browser
    for context in opened:
        context.close()


def at(path: str) -> Callable[[str], bool]:
    """Return what tells of an address whether it is `path`, or below it where that ends in a slash.

    A pattern does not: it takes `/account/login?next=/app/` for an address at the end of `/app/`.
    """

    def is_there(url: str) -> bool:
        found = urlsplit(url).path
        return found.startswith(path) if path.endswith("/") else found == path

    return is_there


def until(page: Page, script: str, argument: object = None, seconds: float = 20) -> None:
    """Wait until a function of the page answers true; it may be one that has to be awaited."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(script, argument):
        assert time.monotonic() < deadline, f"never true: {script}"
        page.wait_for_timeout(100)


def fill_in_login(page: Page, email: str) -> None:
    """Sign in on the page that asks for it."""
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign in").click()
