"""How often somebody may call, what they are told of it, and what holds while Redis is away."""

import threading

import pytest
from django.conf import settings as project
from rest_framework.test import APIClient

from musicrec import limits
from recommendations.tests.factories import make_listener, make_token, service_client

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_minute")]

AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture
def few(settings):
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"default": 4, "services": 8}


@pytest.fixture
def redis_away(monkeypatch):
    monkeypatch.setattr(limits, "_counts", limits.Counts(AWAY))


def caller(listener=None):
    client = APIClient()
    token = make_token(listener or make_listener())
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def statuses(client, n, path="/me/state"):
    return [client.get(path).status_code for _ in range(n)]


def test_each_answer_says_what_is_left(few):
    client = caller()
    told = [client.get("/me/state").headers for _ in range(3)]
    assert [headers["RateLimit"] for headers in told] == [
        f'"default";r={left};t=50' for left in (3, 2, 1)
    ]
    assert told[0]["RateLimit-Policy"] == '"default";q=4;w=60'


def test_past_the_limit_is_a_429_that_says_when_to_come_again(few):
    client = caller()
    assert statuses(client, 4) == [200] * 4
    answer = client.get("/me/state")
    assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "50"
    assert answer.headers["RateLimit"] == '"default";r=0;t=50'


def test_the_next_minute_begins_anew(few, monkeypatch):
    client = caller()
    assert statuses(client, 5)[-1] == 429
    monkeypatch.setattr(limits, "now", lambda: 1_800_000_061.0)
    assert statuses(client, 1) == [200]


def test_a_limit_is_a_persons_whatever_their_tokens_and_address(few):
    listener = make_listener()
    first, second, other = caller(listener), caller(listener), caller()
    assert statuses(first, 4) == [200] * 4
    assert second.get("/me/state", REMOTE_ADDR="203.0.113.9").status_code == 429
    assert statuses(other, 1) == [200]


def test_nobody_in_particular_is_limited_by_address(few):
    client = APIClient()
    assert statuses(client, 5, "/genres") == [200] * 4 + [429]
    assert client.get("/genres", REMOTE_ADDR="203.0.113.9").status_code == 200


def test_a_service_has_a_limit_of_its_own_for_all_of_its_keys(few):
    first, second, rival = service_client("radio"), service_client("radio"), service_client("rival")
    assert statuses(first, 8, "/genres") == [200] * 8
    assert second.get("/genres").status_code == 429
    assert statuses(rival, 1, "/genres") == [200]


def test_of_many_calls_at_once_no_more_are_let_in_than_the_limit():
    shared = [limits.Counts(project.REDIS_URL) for _ in range(8)]
    allowed, start = [], threading.Barrier(8)

    def call(counts):
        start.wait()
        allowed.extend(counts.add("at-once", limit=50) for _ in range(20))

    threads = [threading.Thread(target=call, args=[counts]) for counts in shared]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(allowed), sum(allowed)) == (160, 50)


def test_a_count_is_forgotten_with_its_minute():
    counts = limits.Counts(project.REDIS_URL)
    counts.add("soon-gone", limit=5)
    (key,) = counts._redis.keys("limit:soon-gone:*")
    assert 0 < counts._redis.ttl(key) <= limits.WINDOW


def test_no_address_is_kept(few):
    APIClient().get("/genres", REMOTE_ADDR="203.0.113.9")
    keys = limits.counts()._redis.keys("limit:*")
    assert keys
    assert not any(b"203.0.113.9" in key for key in keys)


def test_while_redis_is_away_the_api_works_on_with_a_quarter_of_the_limit(few, redis_away):
    client = service_client("radio")
    answers = [client.get("/genres") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"services";q=2;w=60'
    assert answers[-1].headers["Retry-After"] == "50"


def test_a_quarter_of_a_small_limit_is_still_one_call():
    counts = limits.Counts(AWAY)
    assert [counts.add("x", limit=2) for _ in range(2)] == [True, False]


def test_redis_is_asked_again_after_a_while_and_counts_go_on_there(few, monkeypatch):
    counts = limits.Counts(AWAY)
    monkeypatch.setattr(limits, "_counts", counts)
    client = caller()
    assert statuses(client, 2) == [200, 429]
    there = limits.Counts(project.REDIS_URL)
    counts._script = there._script  # it is back
    assert statuses(client, 1) == [429]  # not asked at once
    later = limits.monotonic() + limits.RETRY_REDIS + 0.1
    monkeypatch.setattr(limits, "monotonic", lambda: later)
    assert statuses(client, 5) == [200] * 4 + [429]
