"""A worker that is asked to leave serves until those who take its place can."""

import http.client
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace

import pytest
from django.conf import settings

from musicrec import handover, shedding
from musicrec.handover import Starting, Worker
from musicrec.shedding import SheddingWorker


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """The third worker of a master, without its sockets; `left` says whether it left."""
    monkeypatch.setattr(SheddingWorker, "handle_exit", lambda self, *_: left.append(self.age))
    monkeypatch.setattr(SheddingWorker, "notify", lambda self: None)
    left = []
    worker = Worker.__new__(Worker)
    worker.age, worker.starting, worker.left = 3, Starting(tmp_path), left
    return worker


def test_it_leaves_at_once_where_nobody_is_starting(worker):
    worker.handle_exit(15, None)
    assert worker.left == [3]


def test_it_stays_while_a_younger_one_is_starting_and_leaves_when_that_one_serves(worker):
    worker.starting.begin(4)
    worker.starting.begin(5)
    worker.handle_exit(15, None)
    worker.starting.end(4)
    worker.notify()
    assert worker.left == []
    worker.starting.end(5)
    worker.notify()
    assert worker.left == [3]


def test_one_that_started_with_it_does_not_keep_it(worker):
    worker.starting.begin(2)
    worker.handle_exit(15, None)
    assert worker.left == [3]


def test_it_does_not_stay_for_ever(worker, monkeypatch):
    worker.starting.begin(4)
    worker.handle_exit(15, None)
    monkeypatch.setattr(handover, "LONGEST", -1.0)
    worker.notify()
    assert worker.left == [3]


def test_who_was_not_asked_stays(worker):
    worker.notify()
    assert worker.left == []


def test_one_that_died_on_its_way_is_waited_for_no_more(worker):
    worker.starting.begin(4)
    worker.starting.end(4)
    worker.starting.end(4)  # twice is once
    worker.handle_exit(15, None)
    assert worker.left == [3]


def test_workers_load_in_turn(tmp_path, monkeypatch):
    monkeypatch.setattr(handover, "PATIENCE", 0.2)
    starting = Starting(tmp_path, at_once=2)
    first, second = starting.await_turn(1), starting.await_turn(2)
    began = time.monotonic()
    third = starting.await_turn(3)  # waits, but not for ever
    assert time.monotonic() - began >= 0.2
    third.close()
    first.close()
    monkeypatch.setattr(handover, "PATIENCE", 60.0)
    began = time.monotonic()
    third = starting.await_turn(3)
    assert time.monotonic() - began < 30
    second.close()
    third.close()


def test_a_worker_whose_turn_it_is_begins_at_once_when_the_one_before_has_loaded(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(handover, "PATIENCE", 60.0)
    starting = Starting(tmp_path, at_once=1)
    first = starting.await_turn(1)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(starting.await_turn, 2)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        first.close()
        waiting.result(timeout=30).close()


def test_one_that_has_answered_its_fill_asks_once_for_all_to_be_renewed(worker, monkeypatch):
    def answer(self, req, conn):
        self.nr += 1
        return True

    asked = []
    monkeypatch.setattr(SheddingWorker, "handle_request", answer)
    monkeypatch.setattr(os, "kill", lambda *who_and_how: asked.append(who_and_how))
    worker.nr, worker._fill, worker.ppid = 0, 3, 4242
    worker._renewing, worker.log = threading.Lock(), logging.getLogger(__name__)
    assert worker.handle_request(None, None)
    assert worker.handle_request(None, None)
    assert asked == []
    assert all(worker.handle_request(None, None) for _ in range(5))
    assert asked == [(4242, signal.SIGHUP)]


def test_one_that_is_leaving_asks_for_nobody(worker, monkeypatch):
    monkeypatch.setattr(SheddingWorker, "handle_request", lambda *_: True)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("asked"))
    worker.nr, worker._fill, worker._renewing = 9, 3, threading.Lock()
    worker.starting.begin(4)
    worker.handle_exit(15, None)
    assert worker.handle_request(None, None)


LOADING = 3.0
_CONFIGURATION = f"""
import time
from pathlib import Path
from musicrec.handover import Starting

worker_class = "musicrec.handover.Worker"
workers, threads, max_requests, control_socket_disable = 2, 2, 30, True
FOLDER = Path(__file__).parent


def pre_fork(server, worker):
    worker.starting = Starting(FOLDER, at_once=2)
    worker.starting.begin(worker.age)


def post_fork(server, worker):
    worker.turn = worker.starting.await_turn(worker.age)


def post_worker_init(worker):
    time.sleep({LOADING})  # a model that takes long to load
    worker.turn.close()
    worker.starting.end(worker.age)
"""
_APPLICATION = """
import os


def application(environ, start_response):
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def test_nobody_waits_while_workers_that_answered_their_fill_are_renewed(tmp_path):
    """Both come to their limit at about the same time; the next ones take seconds to load."""
    (tmp_path / "gunicorn.conf.py").write_text(_CONFIGURATION)
    (tmp_path / "quick.py").write_text(_APPLICATION)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "gunicorn", "-c", str(tmp_path / "gunicorn.conf.py")),
        *("-b", f"127.0.0.1:{port}", "--pythonpath", str(tmp_path), "quick"),
    ]
    with (tmp_path / "log").open("w") as log:
        master = subprocess.Popen(  # noqa: S603 (our own command)
            command, cwd=settings.BASE_DIR, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        first = _await_answers(port, master)
        pids, slowest, deadline = set(first), 0.0, time.monotonic() + 60
        while len(pids) < 4:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            began = time.monotonic()
            pids.add(_ask(port))
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < LOADING / 2, (tmp_path / "log").read_text()
    finally:
        master.terminate()
        master.wait(30)


def _ask(port):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/", headers={"Connection": "close"})
        answer = connection.getresponse()
        assert answer.status == 200
        return int(answer.read())


def _await_answers(port, master):
    """Return the processes that answer, once both do."""
    pids, deadline = set(), time.monotonic() + 60
    while len(pids) < 2:
        assert master.poll() is None
        assert time.monotonic() < deadline
        try:
            pids.add(_ask(port))
        except ConnectionError:
            time.sleep(0.1)
    return pids


def test_requests_may_wait_longer_while_workers_start_and_until_they_have_settled(
    tmp_path, monkeypatch
):
    at = [1000.0]
    monkeypatch.setattr(handover, "time", SimpleNamespace(monotonic=lambda: at[0]))
    starting = Starting(tmp_path)
    patience = handover.PatienceMeanwhile(starting.is_any)
    assert patience.limit() == shedding.PATIENCE
    for _ in range(1000):
        patience.note(1.0)  # nobody finds a free thread
    assert patience.limit() == shedding.STANDING_PATIENCE
    starting.begin(4)
    at[0] += handover.LOOK_EVERY
    assert patience.limit() == handover.PATIENCE_MEANWHILE
    starting.end(4)
    at[0] += handover.SETTLED - 0.01
    assert patience.limit() == handover.PATIENCE_MEANWHILE
    at[0] += 0.01
    assert patience.limit() == shedding.STANDING_PATIENCE
