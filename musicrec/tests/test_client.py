"""The client's page: never kept, its styles by nonce, and built once for the same sources."""

import json
import re
import runpy
from pathlib import Path

import pytest
from django.conf import settings

from musicrec import client as page_of_client
from recommendations.core.cover import GENRE_HUES

PAGE = '<meta property="csp-nonce" nonce="__CSP_NONCE__"><div id="root"></div>'


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
