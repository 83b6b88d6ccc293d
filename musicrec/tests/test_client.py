"""The client's page: never kept, its styles by nonce, and built once for the same sources."""

import ast
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from musicrec import client as page_of_client
from musicrec.media import sources_of
from recommendations.core.cover import GENRE_HUES

PAGE = (
    '<meta property="csp-nonce" nonce="__CSP_NONCE__">'
    '<meta name="media-hosts" content="__MEDIA_HOSTS__"><div id="root"></div>'
)


@pytest.fixture
def built(monkeypatch):
    """A client that is built, whatever lies in static/app."""
    monkeypatch.setattr(page_of_client, "_page", lambda path: PAGE)


@pytest.mark.parametrize("address", ["/app/", "/app/tracks/demo-1", "/app/library?show=hidden"])
def test_every_address_below_app_is_the_page(built, client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    assert '<div id="root">' in answer.text


def test_page_is_never_kept_and_brings_the_csrf_cookie(built, client):
    answer = client.get("/app/")
    assert "no-store" in answer.headers["Cache-Control"]
    assert settings.CSRF_COOKIE_NAME in answer.cookies


def test_styles_are_allowed_by_a_nonce_of_this_answer_alone(built, client):
    nonces = []
    for _ in range(2):
        answer = client.get("/app/")
        nonce = re.search(r'nonce="([^"]{16,})"', answer.text)[1]
        policy = answer.headers["Content-Security-Policy"]
        assert f"style-src 'self' 'nonce-{nonce}'" in policy
        assert "unsafe" not in policy
        nonces.append(nonce)
    assert nonces[0] != nonces[1]


def test_hosts_of_covers_and_previews_are_told_to_the_page(built, client, settings):
    assert '<meta name="media-hosts" content="">' in client.get("/app/").text
    settings.MEDIA_HOSTS = ["i.scdn.co", "*.mzstatic.com"]
    assert 'content="i.scdn.co *.mzstatic.com"' in client.get("/app/").text
    page = (settings.BASE_DIR / "frontend" / "index.html").read_text()
    assert f'<meta name="media-hosts" content="{page_of_client.HOSTS_PLACE}" />' in page


@pytest.mark.parametrize(
    ("named", "sources"),
    [
        ({}, []),
        (
            {"MUSICREC_MEDIA_HOSTS": "i.scdn.co,*.mzstatic.com,cdn.example:8443"},
            ["https://i.scdn.co", "https://*.mzstatic.com", "https://cdn.example:8443"],
        ),
    ],
)
def test_the_policy_lets_covers_and_previews_come_from_the_hosts_that_are_named(named, sources):
    asked = "from django.conf import settings; print(settings.CONTENT_SECURITY_POLICY)"
    given = {name: value for name, value in os.environ.items() if name != "MUSICREC_MEDIA_HOSTS"}
    done = subprocess.run(  # noqa: S603 (our own command)
        [sys.executable, "-c", asked],
        env=given | {"DJANGO_SETTINGS_MODULE": "musicrec.offline_settings"} | named,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    directives = ast.literal_eval(done.stdout)["DIRECTIVES"]
    assert directives["img-src"] == ["'self'", "data:", *sources]
    assert directives["media-src"] == ["'self'", *sources]
    assert directives["default-src"] == ["'self'"]


@pytest.mark.parametrize(
    "host", ["*", "https://i.scdn.co", "a.example; script-src *", "a.example b.example", "cdn", ""]
)
def test_what_is_no_host_does_not_get_into_the_policy(host):
    with pytest.raises(ImproperlyConfigured, match="MUSICREC_MEDIA_HOSTS"):
        sources_of(["i.scdn.co", host])


def test_without_a_build_the_page_says_how_to_make_one(monkeypatch, client):
    monkeypatch.setattr(page_of_client, "_page", lambda path: None)
    answer = client.get("/app/")
    assert answer.status_code == 503
    assert "make frontend" in answer.text


def test_page_is_read_again_after_it_was_built_again(tmp_path):
    path = tmp_path / "index.html"
    assert page_of_client._page(path) is None
    path.write_text("one")
    assert page_of_client._page(path) == "one"


def test_fingerprint_follows_names_and_contents_and_nothing_else(tmp_path):
    build = runpy.run_path(str(settings.BASE_DIR / "frontend" / "build.py"))
    fingerprint = build["fingerprint"]
    fingerprint.__globals__["ROOT"] = tmp_path
    source = tmp_path / "src"
    source.mkdir()
    (source / "a.ts").write_text("a")
    first = fingerprint((source,))
    (source / "a.ts").touch()
    (source / "node_modules").mkdir()
    (source / "node_modules" / "b.js").write_text("b")
    assert fingerprint((source,)) == first
    (source / "a.ts").rename(source / "b.ts")
    renamed = fingerprint((source,))
    (source / "b.ts").write_text("b")
    assert len({first, renamed, fingerprint((source,))}) == 3


def test_map_of_genres_has_the_hues_of_the_covers():
    path = Path(settings.BASE_DIR, "frontend", "src", "features", "search", "genre-hues.json")
    assert json.loads(path.read_text()) == GENRE_HUES


def test_lock_names_no_registry():
    lock = Path(settings.BASE_DIR, "frontend", "package-lock.json").read_text()
    assert '"resolved"' not in lock
