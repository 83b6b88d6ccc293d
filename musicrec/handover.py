"""A restart without a pause: a worker that is to leave serves on until those who come can.

On SIGHUP gunicorn starts new workers and asks the old ones to leave in the same moment.  A new one
takes seconds to load the program and the model, in which nobody would serve.  So the master leaves
a file for each worker that is starting, and an old one that is asked to leave looks for them.  And
new ones load in turn: all at once they would take the processor from those who still serve.

A worker that has answered its fill (`max_requests`) is renewed in the same way.  gunicorn would let
it leave first and start another then, and two that began together would be away together.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from musicrec.shedding import Patience, SheddingWorker

LONGEST = 60.0
"""Seconds after which a worker leaves though no other is ready, so that none stays for ever."""

PATIENCE = 10.0
"""Seconds after which a worker begins to load though others still do, so that one that hangs stops
none of them.  gunicorn's timeout would not end it: that counts from the moment a worker serves."""

PATIENCE_MEANWHILE = 5.0
"""Seconds that a request may wait for a thread while workers are starting, and `SETTLED` after."""

SETTLED = 3.0
"""Seconds after which those who came have opened their connections and filled their caches."""

LOOK_EVERY = 0.25
"""Seconds between two looks for who is starting."""


class Starting:
    """Who is starting, as files in a folder that the master and its workers share.

    Args:
        folder: theirs.
        at_once: how many may load at a time; half the cores where it is not said, so that those
            who serve meanwhile have the other half.
    """

    def __init__(self, folder: Path, at_once: int | None = None) -> None:
        self._folder = folder
        self._at_once = at_once or max(1, (os.cpu_count() or 1) // 2)

    def await_turn(self, age: int) -> IO[str]:
        """Return a file once this worker may load; to be closed when it has loaded."""
        turn = (self._folder / f"turn.{age % self._at_once}").open("w")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
            else:
                break
        return turn

    def begin(self, age: int) -> None:
        """Note, in the master and before the fork, that a worker is about to start."""
        self._file(age).touch()

    def end(self, age: int) -> None:
        """Note that it serves, or is gone."""
        self._file(age).unlink(missing_ok=True)

    def is_any(self) -> bool:
        """Return whether a worker is starting."""
        return any(self._folder.glob("starting.*"))

    def is_any_younger(self, age: int) -> bool:
        """Return whether a worker is starting that came after this one."""
        return any(int(path.suffix[1:]) > age for path in self._folder.glob("starting.*"))

    def _file(self, age: int) -> Path:
        return self._folder / f"starting.{age}"


class PatienceMeanwhile(Patience):
    """More of it while workers start: what they take of the processor they soon give back.

    To turn requests away then would be to fail some at each release of ours, though nobody asked
    for more than the machine can do.

    Args:
        is_any_starting: looked at now and then.
    """

    def __init__(self, is_any_starting: Callable[[], bool]) -> None:
        super().__init__()
        self._is_any_starting = is_any_starting
        self._look_at = self._settled_at = 0.0

    def limit(self) -> float:
        """Return how long a request may wait now."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            if self._is_any_starting():
                self._settled_at = now + SETTLED
        return PATIENCE_MEANWHILE if now < self._settled_at else super().limit()


class Worker(SheddingWorker):
    """The worker that turns away what waited too long, and that waits for who takes its place."""

    starting: Starting
    """Set by gunicorn's configuration, before the fork."""

    turn: IO[str]
    """Held while it loads; set by gunicorn's configuration, after the fork."""

    _asked_at: float | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fill, self.max_requests = self.max_requests, sys.maxsize
        self._renewing = threading.Lock()
        self._patience = PatienceMeanwhile(lambda: self.starting.is_any())

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer; and have all workers renewed once this one has answered its fill."""
        keeps = super().handle_request(req, conn)
        if self.nr >= self._fill and self._asked_at is None and self._renewing.acquire(False):
            self.log.info("Renewing the workers: this one has answered %s requests.", self.nr)
            os.kill(self.ppid, signal.SIGHUP)  # once: the lock is never released
        return keeps

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Leave, or note that it was asked to."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        self._leave_if_due()

    def notify(self) -> None:
        """Tell the master that this lives, about once a second; and leave where it is time to."""
        super().notify()
        if self._asked_at is not None:
            self._leave_if_due()

    def _leave_if_due(self) -> None:
        assert self._asked_at is not None  # noqa: S101 (for the type checker)
        waited = time.monotonic() - self._asked_at
        if waited > LONGEST or not self.starting.is_any_younger(self.age):
            super().handle_exit(0, None)
