"""The console in a browser: a server process with a database of its own, and staff to be."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.conftest import at

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "var" / "screenshots" / "console"


@dataclass(frozen=True)
class Console:
    """Where the console is, what is in it (see `world.py`), and how to run Python beside it."""

    url: str
    facts: dict[str, object]
    run: Callable[..., str]


@pytest.fixture(scope="session")
def console():
    """A server on loopback, filled; the embedded servers end with it.

    `E2E_CONSOLE`, a JSON of `url` and `facts`, names one that runs already.
    """
    if running := os.environ.get("E2E_CONSOLE"):
        yield Console(**json.loads(running), run=lambda *_: pytest.skip("its server is elsewhere"))
        return
    # Not below pytest's own folder: a second run closes that to the user Postgres runs as.
    folder = Path(tempfile.mkdtemp(prefix="musicrec-console-"))
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **{k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")},
        "DJANGO_SETTINGS_MODULE": "musicrec.settings",
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
        "DJANGO_HTTPS": "false",
        "DJANGO_DEBUG": "false",
        "MUSICREC_VAR": str(folder / "var"),
        "MUSICREC_MODELS": str(folder / "models"),
        "MUSICREC_STAFF_MFA": "false",
        "MUSICREC_THROW_AWAY": "true",
        "WEB_WORKERS": "1",
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": str(ROOT),
    }

    def run(*command):
        done = subprocess.run(  # noqa: S603 (our own commands)
            [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    model = os.environ.get("SMALL_WORLD_MODEL")  # trained before, to save a minute
    if model is None:
        model = str(folder / "model")
        run("-m", "recommendations.tests.small_world", model)
    # The server process below holds the embedded servers; until then each command starts them.
    run("manage.py", "migrate", "-v0")
    run("manage.py", "collectstatic", "--no-input", "-v0")
    facts = json.loads(run("-m", "e2e.console.world", model).splitlines()[-1])
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(  # noqa: S603 (our own command)
            [
                *(sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py"),
                *("-b", f"127.0.0.1:{port}", "musicrec.wsgi"),
            ],
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(f"{url}/livez", server, folder / "server.log")
            yield Console(url, facts, run)
        finally:
            server.terminate()
            server.wait(timeout=30)
            shutil.rmtree(folder, ignore_errors=True)


def _wait_for(url, server, log, seconds=90):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        assert server.poll() is None, log.read_text()[-4000:]
        try:
            urllib.request.urlopen(url, timeout=5)  # noqa: S310 (loopback)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)  # a poll of a process that starts, not a wait for an effect
        else:
            return
    pytest.fail(f"nobody answers at {url}: {log.read_text()[-4000:]}")


@pytest.fixture
def sign_in(console, browser):
    """Returns a page for somebody of a role; errors of a page's scripts or policy fail the test."""
    contexts, faults = [], []

    def sign_in(role, *, width=1280, scheme="dark", bypass_csp=False):
        context = browser.new_context(
            base_url=console.url,
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            accept_downloads=True,
            bypass_csp=bypass_csp,
        )
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda message: (
                faults.append(f"{page.url}: {message.text}")
                if message.type == "error" and "403" not in message.text
                else None
            ),
        )
        page.goto("/account/login?next=/analytics")
        page.get_by_label("Email").fill(f"{role}@example.com")
        page.get_by_label("Password", exact=True).fill(console.facts["password"])
        page.locator("main").get_by_role("button").first.click()
        page.wait_for_url(at("/analytics"))
        return page

    yield sign_in
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def keep_screenshot():
    """Keeps pictures where a run can be asked for them."""
    SHOTS.mkdir(parents=True, exist_ok=True)

    def keep(page, name):
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    return keep
