"""A database that says nothing any more: whoever waits for it is let go, and nobody else waits.

A server that is stopped, stuck on its disk or cut off keeps its connections open.  A request that
waits for an answer would wait for ever: `connect_timeout` is past, `tcp_user_timeout` looks only at
what was not acknowledged, and a timeout of statements is kept by the server itself.  A time limit
on each read would hold for a long report as well, and the driver offers none but in another mode
of working, which cannot COPY.

So a thread of each web process looks four times a second at what its connections are doing, which
costs a request nothing.  Where one has waited for half a second, it asks the database a question of
its own.  If that is answered, the statement is merely slow.  If not, and nobody else is answered
meanwhile, the connections that wait are shut: each fails as though the server had gone away.  Until
the database answers again, nobody is let near it.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from concurrent import futures
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakSet

import psycopg2
from django.db import OperationalError
from psycopg2.extensions import POLL_OK, POLL_READ, TRANSACTION_STATUS_ACTIVE

logger = logging.getLogger(__name__)

TICK = 0.25
"""Seconds between two looks."""

SUSPICIOUS = 0.5
"""Seconds of waiting after which the database is asked whether it is there."""

PATIENCE = 0.8
"""Seconds that it may take to answer that."""

ASK_AGAIN = 5.0
"""Seconds after which a silent one is asked anew: the question itself may have been lost."""


class Watched(Protocol):
    """What is to be known of one of Django's connections.

    Attributes:
        alias: of its database in the settings.
        connection: the driver's, or None.
        peer: address of the server's end of it.
        connecting_since: when it began to be opened, by the monotonic clock; None else.
        n_cursors: how many cursors it has given out.
    """

    alias: str
    connection: Any
    peer: Any
    connecting_since: float | None
    n_cursors: int

    def get_connection_params(self) -> dict[str, Any]:
        """Return what the driver connects with."""


@dataclass
class _Wait:
    """One wait of one connection, and when it is suspicious (again)."""

    which: object
    since: float
    suspicious_at: float

    @property
    def is_for_an_answer(self) -> bool:
        """Whether it is one of a connection that is open."""
        return isinstance(self.which, tuple)


class Question:
    """Whether a database says anything, were it only no; asked on a connection of its own."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.asked_at = time.monotonic()
        self._connection: Any = None
        self._is_open = False
        with suppress(psycopg2.Error):  # refused: whoever asks is told so at once
            self._connection = psycopg2.connect(**params, async_=True)

    def is_answered_within(self, seconds: float) -> bool:
        """Wait for an answer no longer than that; may be called again."""
        deadline = time.monotonic() + seconds
        try:
            if not self._is_open:
                if not self._is_done_by(deadline):
                    return False
                self._is_open = True
                self._connection.cursor().execute("SELECT 1")
            return self._is_done_by(deadline)
        except psycopg2.Error:
            return True  # as above; or there are too many connections already

    def end(self) -> None:
        """Take it back."""
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()

    def _is_done_by(self, deadline: float) -> bool:
        if self._connection is None:
            return True
        while (state := self._connection.poll()) != POLL_OK:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            poller = select.poll()
            events = select.POLLIN if state == POLL_READ else select.POLLOUT
            poller.register(self._connection.fileno(), events)
            poller.poll(1000 * left)
        return True


class Watch:
    """Looks after the connections of one process.

    Attributes:
        closing: held by who closes a connection, for the driver frees what is looked at here.
    """

    def __init__(self) -> None:
        self.closing = threading.Lock()
        self._connections: WeakSet[Watched] = WeakSet()
        self._waits: dict[Watched, _Wait] = {}
        self._silent: dict[str, Question] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look after connections from now on, in a thread."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="silence", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and forget whom to look after and what was seen."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._thread = None
        self._connections.clear()
        self._silent.clear()
        self._waits.clear()

    def add(self, connection: Watched) -> None:
        """Look after a connection too."""
        with self._lock:
            self._connections.add(connection)

    def refuse_where_silent(self, alias: str) -> None:
        """Do nothing while the database answers, as far as is known.

        Raises:
            OperationalError: it does not.
        """
        if alias in self._silent:
            raise OperationalError("the database says nothing")

    def open(self, alias: str, connect: Callable[[], Any]) -> Any:
        """Return what `connect` returns, unless the database turns out to be silent meanwhile.

        The driver waits for it in a thread of its own, whose socket nobody could shut; where it
        comes too late, it is dropped there.

        Raises:
            OperationalError: the database is silent.
        """
        self.refuse_where_silent(alias)
        if self._thread is None:
            return connect()
        opened: futures.Future[Any] = futures.Future()

        def run() -> None:
            try:
                opened.set_result(connect())
            except BaseException as error:
                opened.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        while not futures.wait([opened], timeout=TICK).done:
            self.refuse_where_silent(alias)
        return opened.result()

    def _run(self) -> None:
        while not self._stop.wait(TICK):
            with self._lock:
                connections = list(self._connections)
            for alias in {connection.alias for connection in connections}:
                try:
                    self._look(alias, [one for one in connections if one.alias == alias])
                except Exception:
                    # Else nobody would look any more, and nobody would know.
                    logger.exception("the connections to %s could not be looked at", alias)

    def _look(self, alias: str, connections: list[Watched]) -> None:
        waiting = self._waiting(connections)
        if alias in self._silent:
            self._shut(waiting)
            self._ask_again(alias, connections[0].get_connection_params())
            return
        moment = time.monotonic()
        suspicious = [wait for wait in waiting.values() if wait.suspicious_at <= moment]
        if not suspicious:
            return
        question = Question(connections[0].get_connection_params())
        is_there = question.is_answered_within(PATIENCE)
        waiting_yet = self._waiting(connections)
        # Where the machine has too much to do, the question may be late; not every answer would be.
        is_there = is_there or any(
            wait.is_for_an_answer and waiting_yet.get(connection) is not wait
            for connection, wait in waiting.items()
        )
        if is_there:
            question.end()
            for wait in suspicious:
                wait.suspicious_at = time.monotonic() + 2 * (wait.suspicious_at - wait.since)
            return
        self._silent[alias] = question
        logger.error("the database %s says nothing; %d wait for it", alias, len(waiting_yet))
        self._shut(waiting_yet)

    def _ask_again(self, alias: str, params: dict[str, Any]) -> None:
        question = self._silent[alias]
        if question.is_answered_within(TICK):
            question.end()
            del self._silent[alias]
            logger.warning("the database %s answers again", alias)
        elif time.monotonic() - question.asked_at > ASK_AGAIN:
            question.end()
            self._silent[alias] = Question(params)

    def _waiting(self, connections: list[Watched]) -> dict[Watched, _Wait]:
        """Return the waits there are, each as the same object as long as it lasts."""
        moment = time.monotonic()
        waits = {}
        for connection in connections:
            before = self._waits.pop(connection, None)
            with self.closing:
                which = _what_it_waits_for(connection)
            if which is None:
                continue
            if before is None or before.which != which:
                before = _Wait(which, moment, moment + SUSPICIOUS)
            waits[connection] = before
        self._waits.update(waits)
        return waits

    def _shut(self, waiting: dict[Watched, _Wait]) -> None:
        """End the sockets of those that wait, whose threads then see the end of the connection.

        The driver may have closed one by itself, and its number belong to another socket by now: a
        copy is made, and shut only if its other end is the database.  Who is only connecting waits
        in `open`.
        """
        for connection, wait in waiting.items():
            if wait.is_for_an_answer:
                with (
                    self.closing,
                    suppress(psycopg2.Error, OSError, AttributeError),
                    socket.socket(fileno=os.dup(connection.connection.fileno())) as copy,
                ):
                    if copy.getpeername() == connection.peer:
                        copy.shutdown(socket.SHUT_RDWR)


watch = Watch()
"""Of this process; it looks where it was started, as it is in web processes (`musicrec.wsgi`)."""


def peer_of(driver: Any) -> Any:
    """Return the address of the server's end of an open connection."""
    with socket.socket(fileno=os.dup(driver.fileno())) as copy:
        return copy.getpeername()


def _what_it_waits_for(connection: Watched) -> object | None:
    """Return what tells this wait from the one before; None where it does not wait."""
    if connection.connecting_since is not None:
        return connection.connecting_since
    driver = connection.connection
    if driver is None or driver.closed:
        return None
    if driver.info.transaction_status != TRANSACTION_STATUS_ACTIVE:
        return None
    return id(driver), connection.n_cursors
