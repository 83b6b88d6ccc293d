"""What holds of every operation: a fixed number of queries, however much there is; times in UTC.

The operations come from the API's description: one without its number fails.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from accounts import services as accounts
from bandits import live
from experiments import services as experiments
from experiments.tests.factories import make_draft
from recommendations.models import (
    Hidden,
    HistoryImport,
    ModelVersion,
    OutboxEvent,
    TrainingRun,
)
from recommendations.services.catalogue import touch_catalogue
from recommendations.serving import state
from recommendations.tests.factories import (
    make_feedback,
    make_listener,
    make_run,
    make_slate,
    make_token,
    make_track,
    make_user,
    serve_all_by,
    service_client,
)

PASSWORD = "a long passphrase"
FEW, MANY = 3, 30
_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE SAVEPOINT", "SET CONSTRAINTS")


@dataclass(frozen=True)
class Cost:
    """What a request costs, whose it is, and how it is made where its path does not say.

    Attributes:
        queries: that it asks, transaction control apart.
        by: who asks.
        path: with its query, where that is another than the description's.
        body: of the request, for lists of `n`.
    """

    queries: int
    by: str = "listener"
    path: str = ""
    body: Callable[[int], object] = lambda n: None
    form: str = "json"


def plays(n):
    return [
        {"event_id": f"p{i}", "user_id": f"u{i}", "track_id": f"a{i}", "kind": "play"}
        for i in range(n)
    ]


def facts(n):
    return [{"track_id": f"new{i}", "track_name": "N", "artist": f"New {i}"} for i in range(n)]


COSTS = {
    "GET /": Cost(6, "nobody"),
    "GET /analytics": Cost(12, "staff"),
    "GET /analytics/ab-testing": Cost(8, "analyst"),
    "GET /analytics/contextual-bandits": Cost(12, "analyst"),
    "GET /analytics/dead-letters": Cost(4, "staff"),
    "GET /analytics/models": Cost(4, "staff"),
    "GET /analytics/system-metrics": Cost(10, "staff"),
    "GET /artists": Cost(1, "nobody", "/artists?limit=100"),
    "GET /artists/{artist_id}": Cost(4, "nobody"),
    "POST /auth/register": Cost(
        7, "nobody", body=lambda n: {"email": "new@example.com", "password": PASSWORD}
    ),
    "POST /auth/token": Cost(
        6, "nobody", body=lambda n: {"email": "me@example.com", "password": PASSWORD}
    ),
    "DELETE /auth/token": Cost(2),
    "GET /export/{what}": Cost(2, "service", "/export/feedback"),
    "POST /feedback": Cost(3, body=lambda n: {"track_id": "a0", "rating": 5}),
    "POST /feedback/bulk": Cost(11, "service", body=plays),
    "DELETE /feedback/{event_id}": Cost(11),
    "GET /genres": Cost(0, "nobody"),
    "GET /latest": Cost(1, "nobody", "/latest?limit=100"),
    "PUT /listeners": Cost(
        6, "service", body=lambda n: [{"user_id": f"new{i}", "genres": ["g0"]} for i in range(n)]
    ),
    "GET /listeners/{user_id}": Cost(3, "service"),
    "PUT /listeners/{user_id}": Cost(6, "service", body=lambda n: {"country": "NO"}),
    "DELETE /listeners/{user_id}": Cost(23, "service"),
    "GET /me": Cost(2),
    "PATCH /me": Cost(3, body=lambda n: {"country": "NO"}),
    "DELETE /me": Cost(38, body=lambda n: {"password": PASSWORD}),
    "GET /me/export": Cost(22),
    "GET /me/hidden": Cost(3, path="/me/hidden?limit=100"),
    "POST /me/hidden": Cost(9, body=lambda n: {"track_id": "a0"}),
    "DELETE /me/hidden/{id}": Cost(7),
    "GET /me/history": Cost(3, path="/me/history?limit=100"),
    "POST /me/import": Cost(4, form="multipart"),
    "GET /me/imports": Cost(2, path="/me/imports?limit=100"),
    "GET /me/imports/{id}": Cost(2),
    "GET /me/library": Cost(3, path="/me/library?state=liked&limit=100"),
    "GET /me/state": Cost(2),
    "GET /me/statistics": Cost(13, path="/me/statistics?period=all"),
    "GET /me/taste": Cost(5),
    "GET /me/tokens": Cost(2),
    "POST /me/tokens": Cost(4, body=lambda n: {"name": "phone"}),
    "DELETE /me/tokens/{id}": Cost(3),
    "POST /preferences/set": Cost(3, body=lambda n: {"genres": ["g0"], "energy": 0.5}),
    "POST /recommend": Cost(2, body=lambda n: {"n_recommendations": n}),
    "POST /recommend/batch": Cost(
        5, "service", body=lambda n: {"user_ids": [f"u{i}" for i in range(n)]}
    ),
    "POST /recommend/rows": Cost(3, body=lambda n: {"n_per_row": n}),
    "GET /search": Cost(3, "nobody", "/search?q=song&limit=3"),
    "GET /tracks": Cost(1, "nobody", "/tracks?limit=100"),
    "PUT /tracks": Cost(21, "service", body=facts),
    "GET /tracks/{track_id}": Cost(1, "nobody"),
    "PUT /tracks/{track_id}": Cost(
        21, "service", body=lambda n: {"track_name": "N", "artist": "New"}
    ),
    "GET /tracks/{track_id}/similar": Cost(0, "nobody"),
    "GET /trending": Cost(0, "nobody", "/trending?limit=100"),
}


def operations():
    paths = SchemaGenerator().get_schema(public=True)["paths"]
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


def test_every_operation_has_its_number():
    assert sorted(COSTS) == sorted(operations())


@pytest.fixture
def world(settings, db, monkeypatch):
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, 10_000)
    # What a process reads again every other second is no request's.
    settings.MUSICREC = settings.MUSICREC | {"REFRESH_SECONDS": 3600.0}
    monkeypatch.setattr(state, "TREND_SECONDS", 3600.0)
    monkeypatch.setattr(live, "_REFRESH_AGE", timedelta(hours=1))
    return World()


class World:
    """A listener, a service and an installation that hold more and more."""

    def __init__(self):
        user = make_user(password=PASSWORD)
        user.email = "me@example.com"
        user.save()
        self.listener = make_listener(user=user)
        staff = make_user(is_staff=True, is_superuser=True)
        make_listener(user=staff)
        self.clients = {
            "nobody": APIClient(),
            "listener": APIClient(),
            "staff": APIClient(),
            "service": service_client("radio"),
            "analyst": service_client("analyst", scopes=["analytics"]),
        }
        self.clients["listener"].credentials(
            HTTP_AUTHORIZATION=f"Bearer {make_token(self.listener)}"
        )
        self.clients["staff"].force_login(staff)
        self.ids = {}
        self.n = 0

    def fill(self, n):
        """Let there be `n` of everything that a list may list."""
        service = self.clients["service"].service
        for number in range(self.n, n):
            now = timezone.now() - timedelta(minutes=100 - number)
            track = make_track(track_id=f"a{number}", name=f"Song {number}",
                               genres=[f"g{number}", "all"], year=1960 + number)  # fmt: skip
            make_track(track_id=f"b{number}", artist=track.artist.name, genres=["all"])
            other = make_track(track_id=f"c{number}", genres=["all"])
            one = make_listener(service=service, external_id=f"u{number}", genres=[f"g{number}"])
            make_feedback(listener=one, track=track, at=now)
            slate = make_slate(listener=self.listener, tracks=[track, other], at=now)
            for kind in ("like", "play"):
                make_feedback(listener=self.listener, track=track, kind=kind, at=now,
                              event_id=f"{kind}{number}", recommendation=slate)  # fmt: skip
            hidden = Hidden.objects.create(listener=self.listener, track=other)
            Hidden.objects.create(listener=self.listener, artist=other.artist)
            job = HistoryImport.objects.create(
                listener=self.listener, content=b"", status="done", file_name="f"
            )
            token = accounts.issue_token(user=self.listener.user, name=f"app {number}", at=now)
            experiments.start(make_draft(), at=now)
            ModelVersion.objects.create(
                run=make_run(), folder=f"run-{number}", manifest_sha256="", n_parameters=1,
                n_listeners=1, n_tracks=1, seconds=1.0, verdict="",
            )  # fmt: skip
            TrainingRun.objects.create(trigger="manual", status="failed", requested_at=now)
            OutboxEvent.objects.create(
                kind="slate", recommendation=slate, attempts=OutboxEvent.MAX_ATTEMPTS
            )
        self.n = n
        serve_all_by("contextual_bandit")  # and not by the experiments just started
        touch_catalogue()
        state.forget()
        for client in self.clients.values():  # a key notes once an hour that it is used
            client.get("/me/state")
        tokens = {token: self.listener.user.apitoken_set.get(name="app 0").pk}
        self.ids = {
            "artist_id": track.artist_id,
            "event_id": "like0",
            "user_id": "u0",
            "track_id": "a0",
            "/me/hidden/": hidden.pk,
            "/me/imports/": job.pk,
            "/me/tokens/": tokens[token],
        }

    def send(self, name, cost):
        """Make the request once, for lists of `n`, and return the answer's text."""
        method, path = name.split()
        for part in [part for part in path.split("/") if part.startswith("{")]:
            before = path[: path.index(part)]
            path = path.replace(part, str(self.ids.get(part.strip("{}"), self.ids.get(before))))
        body = cost.body(self.n)
        if cost.form == "multipart":
            body = {"file": SimpleUploadedFile("history.json", b"[]")}
        call = getattr(self.clients[cost.by], method.lower())
        path = cost.path or path
        answer = call(path) if method == "GET" else call(path, body, format=cost.form)
        assert answer.status_code < 300, answer.content
        told = b"".join(answer.streaming_content) if answer.streaming else answer.content
        return told.decode()


@contextlib.contextmanager
def undone():
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def queries_of(act):
    """Return the statements of a warm request."""
    with undone():
        act()
    cache.clear()
    with undone(), CaptureQueriesContext(connection) as captured:
        act()
    statements = [query["sql"] for query in captured]
    return [sql for sql in statements if not sql.upper().startswith(_CONTROL)]


def test_a_request_asks_as_often_however_much_there_is(world):
    asked = {name: {} for name in COSTS}
    for n in (FEW, MANY):
        world.fill(n)
        for name, cost in COSTS.items():
            asked[name][n] = queries_of(lambda name=name, cost=cost: world.send(name, cost))
    wrong = [
        f"{name}: {[len(sql) for sql in by_n.values()]}, not {COSTS[name].queries}\n"
        + "\n".join(f"    {n}: {sql[:200]}" for n, found in by_n.items() for sql in found)
        for name, by_n in asked.items()
        if {len(sql) for sql in by_n.values()} != {COSTS[name].queries}
    ]
    assert not wrong, "\n".join(wrong)


def test_every_moment_of_every_answer_is_in_utc_and_says_so(world):
    world.fill(FEW)
    found = {}
    for name, cost in COSTS.items():
        with undone():
            told = world.send(name, cost)
        found[name] = re.findall(r'"(\d{4}-\d\d-\d\d[T ]\d\d:[^"]*)"', told)
    elsewhere = {
        name: moment
        for name, moments in found.items()
        for moment in moments
        if not moment.endswith(("Z", "+00:00"))
    }
    assert elsewhere == {}
    assert sum(map(bool, found.values())) > 15  # the test says something
