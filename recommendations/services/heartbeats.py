"""Processes that say they are alive."""

from __future__ import annotations

import logging
import os
import socket
import threading
from datetime import datetime, timedelta

from django.db import Error, connection
from django.utils import timezone

from recommendations.models import Heartbeat

logger = logging.getLogger(__name__)

EVERY_SECONDS = 10.0
LATE_AFTER = timedelta(seconds=45)
"""A process that was silent for longer is taken for dead: four heartbeats missed."""

FORGOTTEN_AFTER = timedelta(days=1)


def name_of_process(kind: str) -> str:
    """Return what this process is called: kind, machine, process id."""
    return f"{kind} {socket.gethostname()}:{os.getpid()}"[:200]


def beat(name: str, *, kind: str, at: datetime, detail: str = "") -> None:
    """Say that a process is alive now."""
    Heartbeat.objects.update_or_create(
        name=name,
        defaults={"kind": kind, "beat_at": at, "detail": detail[:200], "stopped_at": None},
        create_defaults={"kind": kind, "beat_at": at, "detail": detail[:200], "started_at": at},
    )


def stop(name: str, *, at: datetime) -> None:
    """Say that a process ends as it should."""
    Heartbeat.objects.filter(name=name).update(stopped_at=at)


def forget_old(*, at: datetime) -> int:
    """Drop the rows of processes that were silent for a day; return how many."""
    n, _ = Heartbeat.objects.filter(beat_at__lt=at - FORGOTTEN_AFTER).delete()
    return n


class Pulse:
    """A thread that beats for a process until it is stopped."""

    def __init__(self, kind: str, *, detail: str = "") -> None:
        self._name, self._kind, self._detail = name_of_process(kind), kind, detail
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more, and say goodbye."""
        self._stop.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while True:
            try:
                beat(self._name, kind=self._kind, at=timezone.now(), detail=self._detail)
            except Error as error:
                logger.info("no heartbeat without the database (%s)", error)
            finally:
                connection.close()
            if self._stop.wait(EVERY_SECONDS):
                break
        try:
            stop(self._name, at=timezone.now())
        except Error as error:
            logger.info("no goodbye without the database (%s)", error)
        finally:
            connection.close()
