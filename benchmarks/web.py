"""What a client of the running web server waits for, and what the server takes meanwhile."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.machine import Memory, memory_of, processor_seconds
from benchmarks.stand import Stand, Web

N_LISTENERS = 40  # so that no listener comes near the limit on requests a minute
WARM_UP = 60
MOODS = ("happy", "calm", None)


@dataclass(frozen=True)
class Measured:
    """Times of a kind of request.

    Attributes:
        milliseconds: from sending to the last byte of the answer, shape (n,).
    """

    milliseconds: np.ndarray

    def percentile(self, share: float) -> float:
        """Return a percentile, 0 to 100."""
        return float(np.percentile(self.milliseconds, share))


class Client:
    """One client with a few connections, so that every web process gets its share."""

    def __init__(self, web: Web, tokens: Sequence[str], stack: ExitStack) -> None:
        self._connections = itertools.cycle(
            stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", web.port)))
            for _ in range(4)
        )
        self._tokens = tokens

    def post(self, path: str, body: dict[str, Any], listener: int) -> tuple[dict[str, Any], float]:
        """Return the answer and the milliseconds that it took.

        Raises:
            RuntimeError: the answer is no success.
        """
        connection = next(self._connections)
        headers = {
            "Authorization": f"Bearer {self._tokens[listener % len(self._tokens)]}",
            "Content-Type": "application/json",
        }
        payload = json.dumps(body)
        began = time.perf_counter()
        connection.request("POST", path, payload, headers)
        response = connection.getresponse()
        text = response.read()
        milliseconds = 1000 * (time.perf_counter() - began)
        if response.status >= 400:
            raise RuntimeError(f"{path} answered {response.status}: {text[:500]!r}")
        return json.loads(text), milliseconds


@dataclass(frozen=True)
class WebFigures:
    """What came of one run of the web server.

    Attributes:
        recommend: after warm-up.
        feedback: each a rating of a track that was shown.
        policies: how many of the lists each policy made.
        fallbacks: lists that something else than the policy's choice made.
        processor_ms: processor time of the web processes per request to `/recommend`; on a busy
            machine it grows less than the time does.
        memory: of each web process at the end.
    """

    recommend: Measured
    feedback: Measured
    policies: dict[str, int]
    fallbacks: int
    processor_ms: float
    memory: list[Memory]


def measure_web(stand: Stand, tokens: Sequence[str], *, n_requests: int) -> WebFigures:
    """Start the web server and ask it as one client would, one request after another."""
    with stand.web() as web, ExitStack() as stack:
        client = Client(web, tokens, stack)
        answers = [client.post("/recommend", wishes(i), i)[0] for i in range(WARM_UP)]
        rated = [
            client.post("/feedback", response(answer), i)[1] for i, answer in enumerate(answers)
        ]
        before = sum(processor_seconds(pid) for pid in web.workers)
        asked = [client.post("/recommend", wishes(i), i) for i in range(n_requests)]
        spent = sum(processor_seconds(pid) for pid in web.workers) - before
        answers = [answer for answer, _ in asked]
        rated = [
            client.post("/feedback", response(answer), i)[1]
            for i, answer in enumerate(answers[: n_requests // 2])
        ]
        policies: dict[str, int] = {}
        for answer in answers:
            policies[answer["policy"]] = policies.get(answer["policy"], 0) + 1
        return WebFigures(
            recommend=Measured(np.array([milliseconds for _, milliseconds in asked])),
            feedback=Measured(np.array(rated)),
            policies=policies,
            fallbacks=sum(answer["fallback"] is not None for answer in answers),
            processor_ms=1000 * spent / n_requests,
            memory=[memory_of(pid) for pid in web.workers],
        )


def wishes(number: int) -> dict[str, Any]:
    """Return the body of a request for ten tracks."""
    return {"n_recommendations": 10, "mood": MOODS[number % len(MOODS)], "device_type": "mobile"}


def response(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a rating of the first track of an answer."""
    return {
        "track_id": answer["recommendations"][0]["track_id"],
        "rating": 4,
        "recommendation_id": answer["recommendation_id"],
    }


@dataclass(frozen=True)
class Inside:
    """What is measured inside one process, against the same database.

    Attributes:
        recommend_queries: of a warm `/recommend`, without BEGIN and COMMIT; the median under the
            policy that takes most.
        recommend_queries_at_most: the same, with what a process reads anew once a second.
        feedback_queries: of a warm `/feedback`.
        fold_in_ms: median time to fold a listener in, by length of history.
    """

    recommend_queries: float
    recommend_queries_at_most: int
    feedback_queries: float
    fold_in_ms: dict[int, float]


def connect_django(stand: Stand) -> None:
    """Make this process one of the stand's installation; once only."""
    os.environ.update(stand.env)
    import django

    django.setup()


def give_accounts() -> list[str]:
    """Return tokens of listeners who have a history, one account each."""
    from django.db.models import Count, Q
    from django.utils import timezone

    from accounts.models import Listener, User
    from accounts.services import issue_token

    known = Listener.objects.annotate(
        n=Count("playcount", distinct=True) + Count("feedback", distinct=True)
    ).filter(n__gt=0)
    listeners = known.filter(Q(user=None) | Q(user__email__endswith="@bench.invalid"))
    tokens = []
    for listener in listeners.order_by("pk")[:N_LISTENERS]:
        if listener.user is None:
            listener.user = User.objects.create_user(f"{listener.pk}@bench.invalid")
            listener.save(update_fields=["user"])
        tokens.append(issue_token(user=listener.user, name="bench", at=timezone.now()))
    return tokens


def measure_inside(tokens: Sequence[str]) -> Inside:
    """Count queries and time the fold-in in this process."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from rest_framework.test import APIClient

    client = APIClient(SERVER_NAME="localhost")

    def post(path: str, body: dict[str, Any], token: str) -> tuple[dict[str, Any], int]:
        with CaptureQueriesContext(connection) as captured:
            answer = client.post(path, body, format="json", HTTP_AUTHORIZATION=f"Bearer {token}")
        if answer.status_code >= 400:
            raise RuntimeError(f"{path} answered {answer.status_code}: {answer.content[:500]!r}")
        statements = [query["sql"] for query in captured.captured_queries]
        return answer.json(), sum(not sql.startswith(CONTROL) for sql in statements)

    recommend: dict[str, list[int]] = {}
    feedback: list[int] = []
    for is_warm in (False, True):
        for token in tokens:
            answer, n_recommend = post("/recommend", wishes(0), token)
            _, n_feedback = post("/feedback", response(answer), token)
            if is_warm:
                recommend.setdefault(answer["policy"], []).append(n_recommend)
                feedback.append(n_feedback)
    return Inside(
        recommend_queries=max(float(np.median(counts)) for counts in recommend.values()),
        recommend_queries_at_most=max(max(counts) for counts in recommend.values()),
        feedback_queries=float(np.median(feedback)),
        fold_in_ms=_fold_in_times(),
    )


CONTROL = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE SAVEPOINT")


def _fold_in_times() -> dict[int, float]:
    from recommendations.serving import state

    loaded = state.current().loaded
    if loaded is None:
        raise RuntimeError("there is no model to fold in with")
    rng = np.random.default_rng(0)
    times = {}
    for length in (10, 100, 1000):
        length = min(length, loaded.model.n_tracks)
        rows = rng.choice(loaded.model.n_tracks, length, replace=False)
        preferences = rng.random(length).astype(np.float32)
        taken = []
        for _ in range(100):
            began = time.perf_counter()
            loaded.model.fold_in(rows, preferences)
            taken.append(time.perf_counter() - began)
        times[length] = 1000 * float(np.median(taken))
    return times
