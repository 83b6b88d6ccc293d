"""Whatever a body holds, the answer is no server error, and nothing is written."""

import json
import time

import pytest
from django.test import Client

from recommendations.models import Feedback, Recommendation
from recommendations.tests.factories import make_listener, make_token, make_track

pytestmark = pytest.mark.django_db

ENDPOINTS = {
    "/auth/register": {"email": "x@example.com", "password": "a long password"},
    "/auth/token": {"email": "x@example.com", "password": "a long password"},
    "/preferences/set": {
        "user_id": "mia",
        "genres": ["pop"],
        "artists": ["x"],
        "energy": 0.5,
        "mood": "happy",
    },
    "/recommend": {
        "user_id": "mia",
        "n_recommendations": 10,
        "mood": "happy",
        "device_type": "car",
        "genres": ["pop"],
        "exclude": ["a"],
        "discovery": 0.5,
    },
    "/feedback": {
        "user_id": "mia",
        "track_id": "a",
        "kind": "rating",
        "rating": 5,
        "completion": 0.5,
        "recommendation_id": "3f0c5f0e-6f0b-4d9a-9f3e-1f6a5b1f0a00",
        "context": {"mood": "happy"},
        "event_id": "e1",
        "occurred_at": "2026-01-01T00:00:00Z",
    },
}
FIELDS = [(path, field) for path, body in ENDPOINTS.items() for field in body]
# Each of them as JSON, since Python's encoder would refuse or repair some.
VALUES = {
    "null": "null",
    "true": "true",
    "zero": "0",
    "negative": "-1",
    "fraction": "0.123456789012345678901234567890",
    "10^30": "1" + "0" * 30,
    "10^29": "1" + "0" * 29,
    "1e400": "1e400",
    "1e308": "1e308",
    "5,000 digits": "9" * 5000,
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "nan as text": '"nan"',
    "1e400 as text": '"1e400"',
    "digits as text": f'"{"9" * 5000}"',
    "empty text": '""',
    "blank": '"   "',
    "long text": f'"{"x" * 100_000}"',
    "grows in lower case": f'"{"İ" * 60}"',
    "NUL": r'"\u0000"',
    "raw NUL": '"\x00"',
    "lone surrogate": r'"\ud800"',
    "right to left": r'"\u202e"',
    "empty list": "[]",
    "list of nulls": "[null]",
    "list of lists": "[[1]]",
    "list of objects": '[{"a": 1}]',
    "list of NaN": "[NaN]",
    "list of hostile text": r'["\ud800"]',
    "long list": json.dumps(["x"] * 5000),
    "empty object": "{}",
    "object": '{"$gt": ""}',
    "object of NUL": r'{"\u0000": 1}',
    "deep": "[" * 100_000 + "]" * 100_000,
}


@pytest.fixture
def client():
    make_track(track_id="a")
    listener = make_listener(external_id="mia")
    token = make_token(listener)
    return Client(raise_request_exception=False, headers={"authorization": f"Bearer {token}"})


def send(client, path, body, content_type="application/json"):
    return client.post(path, body, content_type=content_type)


@pytest.mark.parametrize(("path", "field"), FIELDS)
def test_no_value_of_any_field_is_a_server_error(client, settings, path, field):
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, 10_000)
    others = {name: json.dumps(value) for name, value in ENDPOINTS[path].items() if name != field}
    failed = {}
    for name, value in VALUES.items():
        pairs = {**others, field: value}
        # A rating and a completion do not go together: only one of them at a time.
        if field == "completion":
            pairs |= {"kind": '"play"', "rating": "null"}
        elif path == "/feedback":
            pairs.pop("completion", None)
        if field not in ("recommendation_id", "user_id"):
            pairs.pop("recommendation_id", None)
        body = "{" + ",".join(f'"{key}": {text}' for key, text in pairs.items()) + "}"
        answer = send(client, path, body.encode())
        if answer.status_code >= 500:
            failed[name] = answer.status_code
        elif answer.status_code == 400:
            assert answer.json()  # says something, as JSON
    assert failed == {}


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"5",
        b'"text"',
        b"{",
        b"{}{}",
        b"{'a': 1}",
        b"\xff\xfe{\x00}\x00",
        b'{"a": "\xe9"}',
        b"\xef\xbb\xbf{}",
        b'{"a": NaN}',
        b"\x00",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_no_object_is_refused_plainly(client, path, body):
    answer = send(client, path, body)
    # An empty body is an empty object: enough for a list or for no change of preferences.
    accepted = body == b"" and path in ("/recommend", "/preferences/set")
    assert answer.status_code == (200 if accepted else 400), answer.content
    kind = "application/json" if accepted else "application/problem+json"
    assert answer.headers["Content-Type"] == kind


@pytest.mark.parametrize(("depth", "code"), [(32, "not there"), (33, "parse_error")])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_body_has_32_levels_at_most(client, depth, code, opening, closing):
    inner = depth - 1  # the body itself is one
    inside = (opening * inner + "1" + closing * inner).encode()
    answer = send(client, "/recommend", b'{"not there": ' + inside + b"}")
    assert answer.json().get("code", "not there") == code


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data"],
)
def test_another_content_type_is_said_to_be_one(client, path, content_type):
    body = json.dumps(ENDPOINTS[path]).encode()
    assert send(client, path, body, content_type).status_code == 415


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_body_over_a_megabyte_is_refused(client, path):
    body = json.dumps({"genres": ["x" * 1024] * 1100}).encode()
    answer = send(client, path, body)
    assert answer.status_code in (400, 413)
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 40 + b'"' + b'\\"' * 500_000,
        b"[" * 40 + b'"\\' * 500_000,
        b'["' * 500_000,
        b"[" * 40 + b'"' * 1_000_000,
        b'{"a":"' + b"\\u0000" * 170_000 + b'"}',
    ],
    ids=["escaped quotes", "quote and backslash", "lists and quotes", "quotes", "NULs"],
)
def test_no_body_of_a_megabyte_keeps_the_server_busy(client, body):
    began = time.process_time()
    assert send(client, "/recommend", body).status_code == 400
    assert time.process_time() - began < 2


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("method", ["get", "put", "patch"])
def test_another_method_is_said_to_be_one(client, path, method):
    assert getattr(client, method)(path).status_code == 405


@pytest.mark.parametrize("path", ["/recommend", "/account/", "/"])
def test_a_session_cookie_of_hostile_text_is_nobody(settings, path):
    for value in (r'"aaaaaaaa\000"', "é" * 20, "x" * 4000, '"' * 50, ""):
        client = Client(raise_request_exception=False)
        client.cookies.load({settings.SESSION_COOKIE_NAME: "x"})
        answer = client.get(path, headers={"cookie": f"{settings.SESSION_COOKIE_NAME}={value}"})
        assert answer.status_code < 500, value


def test_hostile_addresses_are_not_found(client):
    for path in ("/%00", "/recommend/%ff", "/" + "a" * 10_000, "/..%2f..%2fetc/passwd"):
        assert client.get(path).status_code in (301, 404)


def test_the_refused_leave_nothing_behind(client):
    for value in VALUES.values():
        send(client, "/feedback", f'{{"track_id": "a", "rating": {value}}}'.encode())
        send(client, "/recommend", f'{{"n_recommendations": {value}}}'.encode())
    assert not Feedback.objects.exists()
    # null stands for the default in neither field; true is no number.
    assert Recommendation.objects.count() == 0
