"""A web process that is killed, restarted or without its database."""

import http.client
import os
import signal
import threading
import time
from collections import Counter

import pytest

from musicrec.tests.chaos.crowd import THREADS, Crowd
from musicrec.tests.chaos.installation import Client, children_of, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.chaos]


class Askers:
    """Listeners who ask for lists, one request after another, until they are told to stop.

    Attributes:
        answers: status, body and seconds of each request, in no order.
        failed: what came instead of an answer.
    """

    def __init__(self, serving, tokens, *, keep, pause=0.0):
        """Keep connections from request to request, or open one for each, as a balancer does."""
        self.answers, self.failed = [], []
        self._serving, self._keep, self._pause = serving, keep, pause
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(token,), daemon=True) for token in tokens
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def statuses(self):
        return Counter(status for status, _, _ in self.answers)

    @property
    def slowest(self):
        return max(seconds for _, _, seconds in self.answers)

    def _ask(self, token):
        client = Client(self._serving.port, token, timeout=60)
        while not self._stop.is_set():
            try:
                self.answers.append(client.post("/recommend", {}))
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            if not self._keep:
                client.close()
            time.sleep(self._pause)
        client.close()


@pytest.mark.parametrize(
    ("away", "back"),
    [
        (lambda serving: serving.postgres.stop(), lambda serving: serving.postgres.start()),
        (lambda serving: serving.freeze_postgres(), lambda serving: serving.thaw_postgres()),
    ],
    ids=["stopped", "hanging"],
)
def test_without_the_database_answers_are_plain_and_quick_and_all_heals(
    serving, scale, report, away, back
):
    client = Client(serving.port, serving.tokens[0])
    wait_until(lambda: client.post("/recommend", {})[0] == 200, seconds=30, what="a list")
    away_for = 10 if scale.is_full else 4
    with Askers(serving, serving.tokens[:6], keep=True, pause=0.05) as askers:
        wait_until(lambda: askers.statuses[200] >= 12, seconds=30, what="lists for all")
        away(serving)
        try:
            gone = time.monotonic()
            not_ready = wait_until(lambda: not serving.is_ready(), seconds=5, what="not ready")
            while time.monotonic() - gone < away_for:
                assert serving.get("/livez", timeout=2)[0] == 200
                time.sleep(0.1)
        finally:
            back(serving)
        healed = wait_until(
            lambda: client.post("/recommend", {})[0] == 200 and serving.is_ready(),
            seconds=15,
            what="heals by itself",
        )
    report(
        f"database away {away_for} s: {dict(askers.statuses)}, not ready after {not_ready:.1f} s, "
        f"slowest answer {1000 * askers.slowest:.0f} ms, healed in {healed:.1f} s"
    )
    assert askers.failed == []
    assert set(askers.statuses) == {200, 503}
    refused = [answer for status, answer, _ in askers.answers if status == 503]
    assert all(answer["retry_after"] for answer in refused)
    assert {answer["code"] for answer in refused} <= {"database_away", "overloaded"}
    assert askers.slowest <= 2


def test_a_killed_web_process_costs_at_most_the_requests_in_flight(serving, slates, scale, report):
    n = 2000 if scale.is_full else 120
    crowd = Crowd(serving, slates, n=n, rate=scale.rate, keep=False)
    crowd.start()
    wait_until(lambda: crowd.sent > n // 4, seconds=120, what="under way", every=0.01)
    master = serving._processes["web"].pid
    victim = children_of(master)[-1]
    os.kill(victim, signal.SIGKILL)
    crowd.join()
    failed = crowd.outcome.statuses[0]
    wait_until(lambda: len(children_of(master)) == 2, seconds=30, what="a new web process")
    report(f"web process killed under {scale.rate:.0f} events/s: {failed} failed")
    # Each is tried again and counts once.
    assert len(crowd.outcome.accepted) == n
    # A machine that cannot start a process and serve at once may turn a request away for a moment.
    assert set(crowd.outcome.statuses) <= {0, 200, 201, 503}
    assert failed <= THREADS  # so many are in flight at most


def test_a_rolling_restart_under_load_fails_no_request(serving, scale, report):
    """Each request on a connection of its own, as a load balancer that drains sends them."""
    master = serving._processes["web"].pid
    with Askers(serving, serving.tokens[:6], keep=False, pause=0.05) as askers:
        for _ in range(3 if scale.is_full else 1):
            before = set(children_of(master))
            os.kill(master, signal.SIGHUP)
            wait_until(
                lambda old=before: len(new := set(children_of(master))) == 2 and not (new & old),
                seconds=120,
                what="all web processes are new",
            )
        time.sleep(1)  # under load for a while yet
    report(
        f"rolling restart under load: {len(askers.answers)} requests, {dict(askers.statuses)}, "
        f"slowest {1000 * askers.slowest:.0f} ms"
    )
    assert askers.failed == []
    assert len(askers.answers) > 100
    assert [(seconds, answer) for status, answer, seconds in askers.answers if status != 200] == []
    assert askers.slowest < 5  # whoever leaves serves until the others can
