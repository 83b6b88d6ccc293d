"""Listeners who respond at a steady rate, and note what was accepted."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from musicrec.tests.chaos.installation import Client, Installation

THREADS = 8
MAX_TRIES = 60


@dataclass
class Outcome:
    """What came of a crowd's responses.

    Attributes:
        accepted: event ids answered with 201 or, for a repeat, 200.
        statuses: of every answer; 0 stands for none.
        seconds: from sending to answer, of every answered request, in order of sending.
        late: seconds that the last one was sent after its time.
    """

    accepted: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    late: float = 0.0

    def milliseconds(self, percentile: float) -> float:
        """Return a percentile of the times."""
        return 1000 * float(np.percentile(self.seconds, percentile))


@dataclass(frozen=True)
class Slate:
    """A list that a listener was shown."""

    token: str
    recommendation_id: str
    tracks: tuple[str, ...]


def ask_for_slates(installation: Installation, tokens: list[str], *, each: int) -> list[Slate]:
    """Return lists of every listener, in turn."""
    slates = []
    for _ in range(each):
        for token in tokens:
            client = Client(installation.port, token)
            status, answer, _ = client.post("/recommend", {"n_recommendations": 10})
            client.close()
            assert status == 200, answer
            tracks = tuple(item["track_id"] for item in answer["recommendations"])
            slates.append(Slate(token, answer["recommendation_id"], tracks))
    return slates


class Crowd(threading.Thread):
    """Sends `n` responses at `rate` a second, trying again what was not answered.

    Every response has an event id, so a second try of one that did get through counts once.

    Args:
        keep: whether a listener's connection is kept for the next response; if not, a request that
            fails was in flight, and no connection ends unused.
    """

    def __init__(
        self,
        installation: Installation,
        slates: list[Slate],
        *,
        n: int,
        rate: float,
        keep: bool = True,
    ) -> None:
        super().__init__(daemon=True)
        self.outcome = Outcome()
        self._keep = keep
        self._port = installation.port
        self._slates = slates
        self._n, self._rate = n, rate
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Send all of it."""
        self._began = time.monotonic()
        threads = [threading.Thread(target=self._send, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @property
    def sent(self) -> int:
        """How many are accepted by now."""
        return len(self.outcome.accepted)

    def _send(self) -> None:
        clients: dict[str, Client] = {}
        while (number := next(self._numbers)) < self._n:
            due = self._began + number / self._rate
            time.sleep(max(0.0, due - time.monotonic()))
            late = max(0.0, time.monotonic() - due)
            slate = self._slates[number % len(self._slates)]
            client = clients.setdefault(slate.token, Client(self._port, slate.token))
            body = {
                "event_id": str(uuid.uuid4()),
                "track_id": slate.tracks[(number // len(self._slates)) % len(slate.tracks)],
                "rating": 1 + number % 5,
                "recommendation_id": slate.recommendation_id,
            }
            self._insist(client, body)
            if not self._keep:
                client.close()
            with self._lock:
                self.outcome.late = max(self.outcome.late, late)

    def _insist(self, client: Client, body: dict[str, object]) -> None:
        for _ in range(MAX_TRIES):
            try:
                status, _, seconds = client.post("/feedback", body)
            except (OSError, http.client.HTTPException):
                status, seconds = 0, None
            with self._lock:
                self.outcome.statuses[status] += 1
                if seconds is not None:
                    self.outcome.seconds.append(seconds)
                if status in (200, 201):
                    self.outcome.accepted.add(str(body["event_id"]))
                    return
            time.sleep(0.25)
        raise AssertionError(f"never accepted: {body}")
