"""What is turned away while there is too much to do, and what never is."""

import json
import time
from types import SimpleNamespace

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import ThreadWorker

from musicrec.shedding import (
    LONGEST_CONNECTION,
    RETRY_AFTER,
    Patience,
    SheddingWorker,
    shed,
)


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def ask(path, waited, patience=None):
    """Return status, headers and body of an answer to a request that has waited."""
    said = {}

    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"served"]

    def start_response(status, headers):
        said.update(status=status, headers=dict(headers))

    guarded = shed(application, lambda: waited, patience or Patience())
    body = b"".join(guarded({"PATH_INFO": path}, start_response))
    return said["status"], said["headers"], body


@pytest.mark.parametrize(
    ("waited", "path", "status"),
    [
        (0.0, "/recommend", "200 OK"),
        (0.3, "/recommend", "200 OK"),
        (0.5, "/recommend", "503 Service Unavailable"),
        (9.0, "/livez", "200 OK"),
        (3.0, "/tracks/t1/cover.svg", "200 OK"),
        (9.0, "/tracks/t1/cover.svg", "503 Service Unavailable"),
    ],
)
def test_what_has_waited_too_long_is_turned_away_but_never_a_probe(waited, path, status):
    assert ask(path, waited)[0] == status


def test_who_is_turned_away_is_told_when_to_come_again():
    _, headers, body = ask("/recommend", 0.5)
    assert headers["Retry-After"] == str(RETRY_AFTER)
    assert headers["Content-Length"] == str(len(body))
    assert json.loads(body)["code"] == "overloaded"


def test_while_a_queue_stands_less_waiting_is_allowed_until_a_thread_was_free():
    clock = Clock()
    patience = Patience(clock)

    def status(waited):
        return ask("/recommend", waited, patience)[0][:3]

    assert status(0.3) == "200"  # a burst
    clock.seconds = 1.9
    assert status(0.3) == "200"
    clock.seconds = 2.1
    assert status(0.3) == "503"
    assert status(0.09) == "200"  # waiting less does not mean that the queue was empty
    assert status(0.3) == "503"
    assert ask("/cover.svg", 3.0, patience)[0] == "200 OK"
    assert status(0.0) == "200"  # this one found a free thread
    assert status(0.3) == "200"


def test_a_burst_after_a_quiet_night_may_wait():
    clock = Clock()
    patience = Patience(clock)
    clock.seconds = 30_000.0
    assert [ask("/", waited, patience)[0][:3] for waited in (0.0, 0.05, 0.3)] == ["200"] * 3


@pytest.mark.parametrize(("age", "closes"), [(0.0, False), (LONGEST_CONNECTION + 1, True)])
def test_an_old_connection_is_ended_with_an_answer_and_a_young_one_kept(monkeypatch, age, closes):
    """The client then comes anew, and whichever process has time takes it."""
    monkeypatch.setattr(ThreadWorker, "handle_request", lambda self, req, conn: req.should_close())
    (request,) = RequestParser(Config(), [b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"], ("", 0))
    connection = SimpleNamespace(taken_at=time.monotonic() - age)
    worker = SheddingWorker.__new__(SheddingWorker)
    assert worker.handle_request(request, connection) is closes


def test_a_connection_is_as_old_as_its_first_request(monkeypatch):
    monkeypatch.setattr(ThreadWorker, "enqueue_req", lambda self, conn: None)
    worker, connection = SheddingWorker.__new__(SheddingWorker), SimpleNamespace()
    worker.enqueue_req(connection)
    taken_at = connection.taken_at
    worker.enqueue_req(connection)
    assert connection.taken_at == taken_at
