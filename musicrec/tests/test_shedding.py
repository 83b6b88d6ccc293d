"""What is turned away while there is too much to do, and what never is."""

import json
import os
import selectors
import socket
import threading
import time
from contextlib import ExitStack
from http.client import HTTPResponse
from types import SimpleNamespace

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import ThreadWorker

from musicrec.shedding import (
    LONGEST_CONNECTION,
    RETRY_AFTER,
    Patience,
    Queue,
    SheddingWorker,
    path_of_whole_request,
    shed,
)


def ask(path, waited, patience=None):
    """Return status, headers and body of an answer to a request that has waited."""
    said = {}

    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"served"]

    def start_response(status, headers):
        said.update(status=status, headers=dict(headers))

    guarded = shed(application, lambda: waited, patience or Patience(), lambda seconds: None)
    body = b"".join(guarded({"PATH_INFO": path}, start_response))
    return said["status"], said["headers"], body


@pytest.mark.parametrize(
    ("waited", "path", "status"),
    [
        (0.0, "/recommend", "200 OK"),
        (0.7, "/recommend", "200 OK"),
        (0.9, "/recommend", "503 Service Unavailable"),
        (9.0, "/livez", "200 OK"),
        (3.0, "/tracks/t1/cover.svg", "200 OK"),
        (9.0, "/tracks/t1/cover.svg", "503 Service Unavailable"),
    ],
)
def test_what_has_waited_too_long_is_turned_away_but_never_a_probe(waited, path, status):
    assert ask(path, waited)[0] == status


def test_who_is_turned_away_is_told_when_to_come_again():
    _, headers, body = ask("/recommend", 0.9)
    assert headers["Retry-After"] == str(RETRY_AFTER)
    assert headers["Content-Length"] == str(len(body))
    assert json.loads(body)["code"] == "overloaded"


def test_while_a_queue_stands_less_waiting_is_allowed_until_threads_are_free_again():
    patience = Patience()

    def statuses(waited, n):
        return {ask("/recommend", waited, patience)[0][:3] for _ in range(n)}

    assert statuses(0.5, 100) == {"200"}  # a burst of a second
    assert statuses(0.5, 300) == {"200", "503"}
    assert statuses(0.5, 10) == {"503"}
    assert statuses(0.09, 10) == {"200"}
    assert ask("/cover.svg", 3.0, patience)[0] == "200 OK"
    assert statuses(0.0, 3) == {"200"}
    assert statuses(0.5, 1) == {"503"}  # three that found one are not the end of it
    assert statuses(0.0, 30) == {"200"}
    assert statuses(0.5, 1) == {"200"}


def test_the_wait_to_expect_is_that_of_all_who_wait_over_the_threads():
    queue = Queue(n_threads=4)
    assert queue.expected_wait() == 0.0
    for _ in range(200):
        queue.note_service(0.2)
    queue.note_service(30.0)  # one long page
    for _ in range(8):
        queue.enter()
    assert queue.expected_wait() == pytest.approx(8 * 0.2 / 4, rel=0.1)
    assert queue.leave() >= 0.0
    assert queue.expected_wait() == pytest.approx(7 * 0.2 / 4, rel=0.1)


POST = b"POST /feedback HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\n{\r\n}"
GET = b"GET /tracks?q=%C3%A9 HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (POST, "/feedback"),
        (GET, "/tracks"),
        (POST[:-1], None),
        (GET[:-1], None),
        (POST + GET, None),
        (GET + b"\r", None),
        (b"", None),
        (b"\x16\x03\x01 no HTTP at all\r\n\r\n", None),
        (GET.replace(b"GET", b"HEAD"), None),
        (GET.replace(b"1.1", b"1.0"), None),
        (GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), None),
        (GET.replace(b"\r\n\r\n", b"\r\nContent-Length: x\r\n\r\n"), None),
        (
            GET.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            None,
        ),
    ],
)
def test_only_one_whole_request_is_turned_away_by_the_thread_that_listens(data, path):
    assert path_of_whole_request(data, Config(), ("127.0.0.1", 1)) == path


class Gate:
    """An application that answers once it is open."""

    def __init__(self):
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()
        self.served = []

    def __call__(self, environ, start_response):
        self.asked.set()
        assert self.open.wait(30)
        body = environ["wsgi.input"].read()
        self.served.append((environ["PATH_INFO"], body))
        start_response("200 OK", [("Content-Length", "6")])
        return [b"served"]


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def worker(gate):
    """A worker with one thread, which listens."""
    config = Config()
    config.set("threads", 1)
    config.set("keepalive", 75)
    listener = socket.create_server(("127.0.0.1", 0))
    worker = SheddingWorker(
        1, os.getppid(), [listener], SimpleNamespace(wsgi=lambda: gate), 30, config, Logger(config)
    )
    worker.tpool, worker.poller = worker.get_thread_pool(), selectors.DefaultSelector()
    worker.method_queue.init()
    worker.load_wsgi()
    listening = threading.Thread(target=worker.run, daemon=True)
    listening.start()
    yield worker
    gate.open.set()
    worker.alive = False
    worker.method_queue.defer(lambda: None)
    listening.join(30)
    assert not listening.is_alive()
    worker.tmp.close()


@pytest.fixture
def connect(worker):
    """Open connections to the worker."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(
            socket.create_connection(worker.sockets[0].getsockname(), timeout=30)
        )


def answer_on(connection):
    """Return the status of the next answer on a connection, and its headers."""
    with HTTPResponse(connection) as answer:
        answer.begin()
        answer.read()
        return answer.status, answer.headers


def test_silent_connections_leave_the_threads_to_those_who_ask(connect):
    for _ in range(3):
        connect()
    asking = connect()
    asking.settimeout(4)  # gunicorn lets a thread wait five seconds for each
    asking.sendall(GET)
    assert answer_on(asking)[0] == 200


def test_what_would_wait_too_long_is_turned_away_while_no_thread_is_free(worker, gate, connect):
    connections = [connect() for _ in range(6)]
    for connection in connections:
        connection.sendall(GET)
        assert answer_on(connection)[0] == 200
    gate.open.clear()
    gate.asked.clear()
    for _ in range(200):
        worker._queue.note_service(0.5)
    *accepted, halved, late, probe = connections
    accepted[0].sendall(POST)
    assert gate.asked.wait(30)  # it has the thread
    for connection in accepted[1:]:  # they would wait half a second each
        connection.sendall(POST)
    await_until(lambda: worker._queue.expected_wait() > 0.9)
    late.sendall(POST)
    status, headers = answer_on(late)
    assert (status, headers["Retry-After"]) == (503, str(RETRY_AFTER))
    halved.sendall(POST[:-2])
    probe.sendall(GET.replace(b"/tracks", b"/livez"))
    await_until(lambda: worker._queue.expected_wait() > 1.9)
    gate.open.set()
    halved.sendall(POST[-2:])
    assert [answer_on(connection)[0] for connection in (*accepted, halved, probe)] == [200] * 5
    assert gate.served[6:].count(("/feedback", b"{\r\n}")) == 4
    late.sendall(POST)  # its connection was kept
    assert answer_on(late)[0] == 200


def test_who_is_turned_away_is_the_last_to_be_closed_for_silence(worker, gate, connect):
    """They are closed from the front, up to the first that may live on."""
    older, newer, *busy = connections = [connect() for _ in range(5)]
    for connection in connections:
        connection.sendall(GET)
        assert answer_on(connection)[0] == 200
    gate.open.clear()
    for _ in range(200):
        worker._queue.note_service(0.5)
    gate.asked.clear()
    for connection in busy:
        connection.sendall(POST)
        assert gate.asked.wait(30)
    await_until(lambda: worker._queue.expected_wait() > 0.9)
    older.sendall(POST)
    assert answer_on(older)[0] == 503
    order = [newer.getsockname(), older.getsockname()]
    await_until(lambda: [c.sock.getpeername() for c in list(worker.keepalived_conns)] == order)
    gate.open.set()


def await_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


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
    worker, (near, far) = SheddingWorker.__new__(SheddingWorker), socket.socketpair()
    worker._queue = Queue(1)
    with near, far:
        connection = SimpleNamespace(sock=near)
        far.sendall(GET)
        worker.enqueue_req(connection)
        taken_at = connection.taken_at
        worker.enqueue_req(connection)
        assert connection.taken_at == taken_at
