"""A worker that is asked to leave serves until those who take its place can."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from musicrec import handover
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
