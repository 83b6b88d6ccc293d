"""What every answer tells the browser, with production's settings."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.test import Client

_ASK = """
import django
django.setup()
from django.conf import settings
from django.test import Client
client = Client(SERVER_NAME="music.example")
answer = client.get("/docs", secure=True)
print(answer.status_code)
for name in ("Strict-Transport-Security", "Content-Security-Policy", "X-Content-Type-Options",
             "Referrer-Policy", "Cross-Origin-Opener-Policy", "X-Frame-Options"):
    print(f"{name}: {answer.headers.get(name)}")
for kind in ("SESSION", "CSRF"):
    parts = ("NAME", "SECURE", "SAMESITE", "DOMAIN")
    print(kind, *(getattr(settings, f"{kind}_COOKIE_{part}") for part in parts))
print("httponly", settings.SESSION_COOKIE_HTTPONLY)
print(client.get("/docs").status_code, client.get("/docs").headers["Location"])
"""


def test_with_production_settings_every_header_and_cookie_is_set():
    done = subprocess.run(  # noqa: S603 (our own command)
        [sys.executable, "-c", _ASK],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "musicrec.check_settings"},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert said.startswith("200\n")
    assert "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload" in said
    for directive in ("default-src 'self'", "object-src 'none'", "base-uri 'none'",
                      "frame-ancestors 'none'"):  # fmt: skip
        assert directive in said
    assert "unsafe-eval" not in said
    assert "X-Content-Type-Options: nosniff" in said
    assert "Referrer-Policy: same-origin" in said
    assert "Cross-Origin-Opener-Policy: same-origin" in said
    assert "X-Frame-Options: DENY" in said
    assert "SESSION __Host-session True Lax None" in said
    assert "CSRF __Host-csrf True Lax None" in said
    assert "httponly True" in said
    assert "301 https://music.example/docs" in said


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_what_is_safe_by_name_changes_nothing(method):
    """Reading by a caller who is nobody is never a 500 and never sets a session."""
    answer = getattr(Client(), method)("/")
    assert answer.status_code < 500
    assert settings.SESSION_COOKIE_NAME not in answer.cookies


def test_nothing_of_ours_unpickles():
    found = [
        path
        for folder in ("accounts", "bandits", "experiments", "musicrec", "recommendations")
        for path in (settings.BASE_DIR / folder).rglob("*.py")
        if "tests" not in path.parts
        and any(
            word in path.read_text()
            for word in ("import pickle", "pickle.load", "allow_pickle=True", "import marshal")
        )
    ]
    assert found == []
