"""A request that comes twice: each address that changes something says what a repeat does.

The addresses come from the URL conf, as in `test_access`: one that is not in the table fails.
"""

import json
import threading
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.models import AnsweredRequest, ApiToken
from accounts.repeats import KEPT, forget_answers
from bandits.models import Decision
from musicrec.tests.test_access import ROUTES, TABLE
from recommendations.models import Hidden, Recommendation
from recommendations.serving import state
from recommendations.tests.factories import (
    make_catalogue,
    make_feedback,
    make_listener,
    make_token,
    make_user,
    service_client,
)
from recommendations.tests.test_queries import queries_of

KEY = {"idempotency-key": "once"}
PASSWORD = "a long passphrase"


@dataclass(frozen=True)
class Again:
    """What the first request is answered, what its repeat is, and what it sends.

    A repeat changes nothing in the database, except where `leaves` says what it leaves.
    """

    first: int
    repeat: int
    body: object = None
    headers: dict = field(default_factory=dict)
    by_service: bool = False
    leaves: str = ""
    form: str = "json"


def service(first, repeat, body=None, headers=None):
    return Again(first, repeat, body, headers or {}, by_service=True)


RATING = {"track_id": "t1", "rating": 5}
MANY = [{"user_id": "mia", "track_id": "t1", "rating": 5}]
WRITES = {
    # A second slate would be a second decision of the bandit, which nobody answers.
    "POST recommend": Again(200, 200, {"n_recommendations": 5}, KEY),
    "POST recommend/rows": Again(200, 200, {"n_per_row": 5}, KEY),
    "POST recommend/batch": service(200, 200, {"user_ids": ["mia"]}, KEY),
    # A second secret would be one that nobody holds.
    "POST me/tokens": Again(201, 409, {"name": "phone"}, KEY),
    "POST feedback": Again(201, 200, RATING, KEY),
    "POST feedback/bulk": service(200, 200, MANY, KEY),
    "POST preferences/set": Again(200, 200, {"genres": ["pop"], "energy": 0.5}),
    "POST me/hidden": Again(201, 201, {"track_id": "t2"}),
    "PATCH me": Again(200, 200, {"country": "DE", "onboarded": True}),
    "PUT listeners": service(200, 200, [{"user_id": "ole", "country": "NO"}]),
    "PUT listeners/<id:user_id>": service(200, 200, {"country": "NO"}),
    "PUT tracks": service(200, 200, [{"track_id": "b", "track_name": "B", "artist": "C"}]),
    "PUT tracks/<id:track_id>": service(200, 200, {"track_name": "B", "artist": "C"}),
    "DELETE feedback/<id:event_id>": Again(204, 204),
    # What is gone is gone.
    "DELETE me/hidden/<int:pk>": Again(204, 404),
    "DELETE me/tokens/<int:pk>": Again(204, 404),
    "DELETE listeners/<id:user_id>": service(204, 404),
    "DELETE auth/token": Again(204, 401),
    "DELETE me": Again(204, 401, {"password": PASSWORD}),
    "POST auth/register": Again(201, 409, {"email": "new@example.com", "password": PASSWORD}),
    # Each play counts once: see test_history_import.
    "POST me/import": Again(202, 202, {}, leaves="recommendations_historyimport", form="multipart"),
    # Whoever logs in again gets a token of their own; all are listed, and end with their time.
    "POST auth/token": Again(200, 200, {"password": PASSWORD}, leaves="accounts_apitoken"),
}


def everything():
    """What the database holds, without the moments at which it was touched."""
    held = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(
                f"SELECT to_jsonb(t) - '{{updated_at,last_used_at}}'::text[] "  # noqa: S608
                f'FROM "{table}" t ORDER BY 1'
            )
            held[table] = [row for (row,) in cursor.fetchall()]
    return held


def changed(before, after):
    return {table for table in after if after[table] != before[table]}


@pytest.fixture
def world(settings, request):
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, 10_000)
    tracks = make_catalogue(12)
    listener = make_listener(user=make_user(password=PASSWORD))
    own = APIClient()
    own.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(listener)}")
    radio = service_client("radio", scopes=["read", "write", "recommend"])
    make_listener(service=radio.service, external_id="mia")
    make_feedback(listener=listener, track=tracks[3], event_id="e1")
    spare = services.issue_named_token(
        user=listener.user, name="spare", at=timezone.now(), lifetime=None, second_factor=False
    )
    hidden = Hidden.objects.create(listener=listener, track=tracks[4])
    ids = {"event_id": "e1", "user_id": "mia", "track_id": "t5"}
    return listener, own, radio, ids | {"hidden": hidden.pk, "tokens": spare.id}


def send(world, name, again):
    listener, own, radio, ids = world
    method, path = name.split(" ", 1)
    for part in [part for part in path.split("/") if "<" in part]:
        known = ids.get(part.strip("<>").split(":")[1]) or ids[path.split("/")[1]]
        path = path.replace(part, str(known))
    body = again.body
    if name == "POST auth/token":
        body = {**body, "email": listener.user.email}
    if again.form == "multipart":
        body = {"file": SimpleUploadedFile("history.json", b"[]")}
    client = radio if again.by_service else own
    call = getattr(client, method.lower())
    return call(f"/{path}", body, format=again.form, headers=again.headers)


def writes():
    return [name for name in ROUTES if not name.startswith("GET ") and name in TABLE]


def test_every_address_that_changes_something_says_what_a_repeat_does():
    assert sorted(WRITES) == sorted(writes())


@pytest.mark.django_db
@pytest.mark.parametrize("name", WRITES)
def test_a_repeat_changes_nothing(world, name):
    again = WRITES[name]
    before = everything()
    first = send(world, name, again)
    assert first.status_code == again.first, first.content
    once = everything()
    assert changed(before, once), "the first one did nothing"
    repeat = send(world, name, again)
    assert repeat.status_code == again.repeat, repeat.content
    assert changed(once, everything()) <= {again.leaves}
    if again.headers and "feedback" not in name and again.repeat < 300:
        assert repeat.json() == first.json()


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name in WRITES if WRITES[name].headers])
def test_without_its_key_it_is_another_request(world, name):
    again = WRITES[name]
    bare = Again(again.first, again.first, again.body, by_service=again.by_service)
    send(world, name, bare)
    once = everything()
    assert send(world, name, bare).status_code == again.first
    assert changed(once, everything())


@pytest.mark.django_db
def test_a_repeat_gets_the_list_it_would_have_got_whatever_was_said_since(world):
    _, own, _, _ = world
    first = own.post("/recommend", {"n_recommendations": 5}, headers=KEY).json()
    for item in first["recommendations"]:
        own.post("/feedback", {"track_id": item["track_id"], "rating": 1})
    assert own.post("/recommend", {"n_recommendations": 5}, headers=KEY).json() == first
    assert own.post("/recommend", {"n_recommendations": 5}).json() != first
    answered = {"track_id": first["recommendations"][0]["track_id"], "kind": "like"}
    answered["recommendation_id"] = first["recommendation_id"]
    assert own.post("/feedback", answered).status_code == 201


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/recommend", {"n_recommendations": 6}),
        ("/recommend", {"n_recommendations": 5, "mood": "happy"}),
        ("/recommend?x=1", {"n_recommendations": 5}),
        ("/recommend/rows", {"n_per_row": 5}),
        ("/me/tokens", {"name": "phone"}),
    ],
)
def test_a_key_cannot_name_another_request(world, path, body):
    _, own, _, _ = world
    own.post("/recommend", {"n_recommendations": 5}, headers=KEY)
    once = everything()
    answer = own.post(path, body, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert answer.headers["content-type"] == "application/problem+json"
    assert changed(once, everything()) == set()


@pytest.mark.django_db
def test_the_order_of_a_bodys_fields_makes_no_other_request(world):
    _, own, _, _ = world
    bodies = ('{"mood": "sad", "n_recommendations": 3}', '{"n_recommendations":3,"mood":"sad"}')
    first, second = (
        own.post("/recommend", body, content_type="application/json", headers=KEY).json()
        for body in bodies
    )
    assert first == second


@pytest.mark.django_db
def test_a_key_is_its_callers_own(world):
    """The same key of another listener, of a service and of its listener are four requests."""
    _, own, radio, _ = world
    other = APIClient()
    other.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(make_listener())}")
    rival = service_client("rival")
    make_listener(service=rival.service, external_id="mia")
    mine = {"user_id": "mia"}
    slates = [
        *(client.post("/recommend", headers=KEY).json() for client in (own, other)),
        *(client.post("/recommend", mine, headers=KEY).json() for client in (radio, rival)),
        *(
            client.post("/recommend/batch", {"user_ids": ["mia"]}, headers=KEY).json()["results"][0]
            for client in (radio, rival)
        ),
    ]
    assert len({slate["recommendation_id"] for slate in slates}) == 6
    assert Recommendation.objects.count() == 6


@pytest.mark.django_db
def test_the_secret_of_a_token_is_neither_kept_nor_said_again(world):
    _, own, _, _ = world
    secret = own.post("/me/tokens", {"name": "phone"}, headers=KEY).json()["token"]
    answer = own.post("/me/tokens", {"name": "phone"}, headers=KEY)
    assert answer.json()["code"] == "answered_before"
    assert secret not in json.dumps(everything())
    assert AnsweredRequest.objects.get().answer is None
    assert ApiToken.objects.filter(name="phone").count() == 1


@pytest.mark.django_db
def test_what_was_refused_may_be_tried_again_with_its_key(world, monkeypatch):
    _, own, _, _ = world
    with monkeypatch.context() as patched:
        patched.setattr(services, "MAX_TOKENS", 0)
        answer = own.post("/me/tokens", {"name": "phone"}, headers=KEY)
        assert (answer.status_code, answer.json()["code"]) == (409, "too_many_tokens")
    assert not AnsweredRequest.objects.exists()
    assert own.post("/me/tokens", {"name": "phone"}, headers=KEY).status_code == 201


@pytest.mark.django_db
def test_a_key_costs_three_queries_and_a_repeat_asks_two(world):
    """The key, its row and its answer; then who asks, and what they were answered."""
    _, own, _, _ = world

    def ask(**headers):
        return lambda: own.post("/recommend", {"n_recommendations": 5}, headers=headers)

    ask()()  # loads the model, builds the taste, records the exposure
    without = queries_of(ask())
    assert len(queries_of(ask(**KEY))) == len(without) + 3
    assert len(queries_of(ask(**KEY))) == 2


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", " ", "x" * 65, "a b", "schlüssel"])
@pytest.mark.parametrize("name", [name for name in WRITES if WRITES[name].headers])
def test_a_key_that_is_none_is_refused(world, name, key):
    again = WRITES[name]
    bad = Again(400, 400, again.body, {"idempotency-key": key}, by_service=again.by_service)
    answer = send(world, name, bad)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["errors"]


@pytest.mark.django_db
def test_answers_are_forgotten_after_a_day_and_not_before(world):
    _, own, _, _ = world
    first = own.post("/recommend", headers=KEY).json()
    assert forget_answers(at=timezone.now() + KEPT - timedelta(minutes=1)) == 0
    assert own.post("/recommend", headers=KEY).json() == first
    assert forget_answers(at=timezone.now() + KEPT + timedelta(minutes=1)) == 1
    assert own.post("/recommend", headers=KEY).json() != first


@pytest.mark.django_db
def test_a_services_answers_go_with_the_listener_they_tell_of(world):
    _, _, radio, _ = world
    rival = service_client("rival")
    make_listener(service=rival.service, external_id="mia")
    for client in (radio, rival):
        client.post("/recommend/batch", {"user_ids": ["mia"]}, headers=KEY)
    assert radio.delete("/listeners/mia").status_code == 204
    assert [row.service for row in AnsweredRequest.objects.all()] == [rival.service]


def test_repeats_at_the_same_time_make_one_list(committed):
    make_catalogue(12)
    listener = make_listener()
    token = make_token(listener)
    state.current()
    start, answers = threading.Barrier(6), []

    def ask():
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        start.wait()
        answers.append(client.post("/recommend", {"n_recommendations": 5}, headers=KEY).json())
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert all(answer == answers[0] for answer in answers)
    assert [str(pk) for pk in Recommendation.objects.values_list("pk", flat=True)] == [
        answers[0]["recommendation_id"]
    ]
    assert Decision.objects.count() <= 1
