"""Pages of other origins may call only where a list names them, and never with a cookie."""

import os
import subprocess
import sys

import pytest
from django.conf import settings as project
from django.test import Client

pytestmark = pytest.mark.django_db

OURS, OTHER = "https://app.example", "https://evil.example"
ALLOWED, CREDENTIALS = "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"


def read(origin, path="/genres"):
    return Client().get(path, headers={"origin": origin})


def preflight(origin, path="/recommend"):
    return Client().options(
        path,
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,idempotency-key",
        },
    )


@pytest.mark.parametrize("ask", [read, preflight])
@pytest.mark.parametrize("origin", [OURS, OTHER, "null", "http://testserver.evil.example"])
def test_by_default_no_origin_may_call(ask, origin):
    answer = ask(origin)
    assert ALLOWED not in answer.headers
    assert CREDENTIALS not in answer.headers


def test_an_origin_on_the_list_may_read_an_answer_and_what_it_says_of_limits(settings):
    settings.CORS_ALLOWED_ORIGINS = [OURS]
    answer = read(OURS)
    assert answer.status_code == 200
    assert answer.headers[ALLOWED] == OURS
    assert "origin" in answer.headers["Vary"].lower()  # no cache gives it to another
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"etag", "ratelimit", "retry-after"} <= set(exposed)


def test_an_origin_on_the_list_may_read_why_it_was_refused(settings):
    settings.CORS_ALLOWED_ORIGINS = [OURS]
    answer = read(OURS, "/me")
    assert (answer.status_code, answer.headers[ALLOWED]) == (401, OURS)


def test_an_origin_on_the_list_may_ask_before_it_calls(settings):
    settings.CORS_ALLOWED_ORIGINS = [OURS]
    answer = preflight(OURS)
    assert answer.status_code == 200
    assert answer.headers[ALLOWED] == OURS
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    headers = answer.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"authorization", "content-type", "idempotency-key"} <= set(headers)


@pytest.mark.parametrize("ask", [read, preflight])
@pytest.mark.parametrize(
    "origin", [OTHER, "http://app.example", f"{OURS}:444", f"{OURS}.evil.example", "null"]
)
def test_an_origin_that_is_not_on_the_list_may_not(settings, ask, origin):
    settings.CORS_ALLOWED_ORIGINS = [OURS]
    assert ALLOWED not in ask(origin).headers


@pytest.mark.parametrize("ask", [read, preflight])
@pytest.mark.parametrize("origin", [OURS, OTHER])
def test_no_origin_may_call_with_a_cookie(settings, ask, origin):
    settings.CORS_ALLOWED_ORIGINS = [OURS]
    assert CREDENTIALS not in ask(origin).headers


@pytest.mark.parametrize(
    ("environment", "origins"),
    [({}, []), ({"DJANGO_CORS_ORIGINS": f"{OURS},https://b.example"}, [OURS, "https://b.example"])],
)
def test_the_list_is_read_from_the_environment_and_empty_by_default(environment, origins):
    asked = "from django.conf import settings; print(settings.CORS_ALLOWED_ORIGINS)"
    given = {name: value for name, value in os.environ.items() if name != "DJANGO_CORS_ORIGINS"}
    done = subprocess.run(  # noqa: S603 (our own command)
        [sys.executable, "-c", asked],
        env={**given, **environment, "DJANGO_SETTINGS_MODULE": "musicrec.offline_settings"},
        cwd=project.BASE_DIR,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(origins), done.stderr
