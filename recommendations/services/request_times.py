"""How long requests took: counted in memory, added to the minute's rows every few seconds.

A request only adds to a counter of its process.  A thread of each web process writes what has come
together since the last time; if the process is killed, at most those seconds of counts are lost,
and no request waits for them.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import Error, connection
from django.utils import timezone

from recommendations.core.latency import N_BUCKETS, bucket_of
from recommendations.models import Heartbeat
from recommendations.services import heartbeats

logger = logging.getLogger(__name__)

MAX_KEYS = 2000
"""Rows held between two flushes, at most: what comes beyond is counted under `other`."""

_ADD = """
    INSERT INTO recommendations_requestminute AS r
        (minute, endpoint, strategy, n, n_errors, n_refused, n_fallbacks, buckets)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (minute, endpoint, strategy) DO UPDATE SET
        n = r.n + excluded.n,
        n_errors = r.n_errors + excluded.n_errors,
        n_refused = r.n_refused + excluded.n_refused,
        n_fallbacks = r.n_fallbacks + excluded.n_fallbacks,
        buckets = ARRAY(SELECT a + b FROM unnest(r.buckets, excluded.buckets)
                        WITH ORDINALITY AS pair(a, b, i) ORDER BY i)
"""


@dataclass
class _Counts:
    n: int = 0
    n_errors: int = 0
    n_refused: int = 0
    n_fallbacks: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * N_BUCKETS)


_Key = tuple[datetime, str, str]


class RequestTimes:
    """The counts of one process since its last flush."""

    def __init__(self) -> None:
        self._counts: dict[_Key, _Counts] = {}
        self._lock = threading.Lock()
        self._pid = 0
        self._stop = threading.Event()

    def add(
        self,
        endpoint: str,
        *,
        duration_ms: float,
        status: int,
        at: datetime,
        strategy: str = "",
        is_fallback: bool = False,
    ) -> None:
        """Count one answered request."""
        key = (at.replace(second=0, microsecond=0), endpoint[:100], strategy[:32])
        with self._lock:
            if key not in self._counts and len(self._counts) >= MAX_KEYS:
                key = (key[0], "other", "")
            counts = self._counts.setdefault(key, _Counts())
            counts.n += 1
            counts.n_errors += status >= 500
            counts.n_refused += status in (429, 503)
            counts.n_fallbacks += is_fallback
            counts.buckets[bucket_of(duration_ms)] += 1

    def flush(self) -> int:
        """Add what was counted to the minutes' rows, and return how many rows that were.

        Raises:
            Error: nothing was written; the counts are kept for the next time.
        """
        with self._lock:
            counted, self._counts = self._counts, {}
        rows = [
            (*key, c.n, c.n_errors, c.n_refused, c.n_fallbacks, c.buckets)
            for key, c in sorted(counted.items(), key=lambda item: item[0])
        ]
        if not rows:
            return 0
        try:
            with connection.cursor() as cursor:
                # One statement each, in one order, so that two processes never deadlock.
                cursor.executemany(_ADD, rows)
        except Error:
            self._give_back(counted)
            raise
        return len(rows)

    def forget(self) -> None:
        """Drop what was counted."""
        with self._lock:
            self._counts = {}

    def keep_flushing(self) -> None:
        """Start this process's thread, unless it runs; a fork needs one of its own."""
        if self._pid == os.getpid() or not settings.MUSICREC["FLUSH_SECONDS"]:
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
        self._stop = threading.Event()
        threading.Thread(target=self._run, name="request-times", daemon=True).start()
        atexit.register(self._finish)

    def _run(self) -> None:
        while not self._stop.wait(settings.MUSICREC["FLUSH_SECONDS"]):
            self._write()

    def _finish(self) -> None:
        self._stop.set()
        self._write(goodbye=True)

    def _write(self, *, goodbye: bool = False) -> None:
        name = heartbeats.name_of_process(Heartbeat.Kind.WEB)
        try:
            self.flush()
            if goodbye:
                heartbeats.stop(name, at=timezone.now())
            else:
                heartbeats.beat(name, kind=Heartbeat.Kind.WEB, at=timezone.now())
        except Error as error:
            logger.info("the times of requests wait for the database (%s)", error)
        finally:
            connection.close()

    def _give_back(self, counted: dict[_Key, _Counts]) -> None:
        with self._lock:
            for key, old in counted.items():
                new = self._counts.setdefault(key, _Counts())
                new.n += old.n
                new.n_errors += old.n_errors
                new.n_refused += old.n_refused
                new.n_fallbacks += old.n_fallbacks
                new.buckets = [a + b for a, b in zip(new.buckets, old.buckets, strict=True)]


request_times = RequestTimes()
