"""gunicorn's threaded worker, which turns requests away rather than let all of them wait.

Its threads take requests from a queue without end.  Asked for more than the machine can do, the
queue grows, every request waits longer than its client does, and nothing is answered in time.  A
request that would wait longer than `Patience` allows is answered with 503 and Retry-After by the
thread that listens, and one that did wait longer, by the thread that takes it: the first costs a
quarter of the second, and what is spent on those who are turned away is missing to those who are
served.  So those that are accepted are answered in time, and the queue is empty again as soon as
the crowd is gone.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn, ThreadWorker

PATIENCE = 0.8
"""Seconds that a request may wait for a thread in a burst."""

STANDING_PATIENCE = 0.35
"""Seconds that it may wait while the queue has been standing: what a client hardly notices, so that
a slow stretch of the machine turns nobody away."""

FEW = 0.1
"""Share of the last hundred or so to find a free thread, below which a queue is a standing one."""

NO_WAIT = 0.02
"""Seconds up to which a request found a free thread."""

LONGEST_SERVICE = 0.5
"""Seconds as which a longer request counts towards the usual time of one."""

FIRST_BYTES = 10.0
"""Seconds in which a new connection must say something."""

LARGEST_UNREAD = 64 * 1024
"""Bytes of a request that the thread that listens reads at most."""

LONGEST_CONNECTION = 20.0
"""Seconds after which a connection is ended with the answer to its next request."""

PICTURE = "/cover.svg"
PICTURE_PATIENCE = 5.0
"""Seconds that a picture may wait: a page asks for many at once, and a browser never asks again."""

RETRY_AFTER = 2
"""Seconds after which a client that was turned away may come again."""

ALWAYS = frozenset({"/livez", "/readyz", "/metrics"})
"""What says how the process is must answer also, and above all, when there is too much to do."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_STATUS = "503 Service Unavailable"
_BODY = json.dumps(
    {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "There is too much to do at the moment. Please try again shortly.",
        "code": "overloaded",
    }
).encode()
_HEADERS = [
    ("Content-Type", "application/problem+json"),
    ("Content-Length", str(len(_BODY))),
    ("Retry-After", str(RETRY_AFTER)),
    ("Cache-Control", "no-store"),
]


class Patience:
    """How long a request may wait, in seconds: less once the queue has been standing for a while.

    A queue that a burst has left is worth waiting in, for it empties.  One that stands serves
    nobody better, and only makes everybody late: the idea of CoDel (Nichols and Jacobson,
    "Controlling queue delay", 2012).
    """

    def __init__(self) -> None:
        self._free = 1.0

    def note(self, waited: float) -> None:
        """Note the seconds that a request has waited for its thread."""
        self._free += ((waited <= NO_WAIT) - self._free) / 128

    def limit(self) -> float:
        """Return how long a request may wait now."""
        return PATIENCE if self._free > FEW else STANDING_PATIENCE


class Queue:
    """Those who wait for a thread, and how long the next one would.

    Args:
        n_threads: that serve them.
    """

    def __init__(self, n_threads: int) -> None:
        self._n_threads = n_threads
        self._waiting: deque[float] = deque()  # safe between threads, unlike a number
        self._seconds_each = 0.0

    def enter(self) -> None:
        """Note that one more waits."""
        self._waiting.append(time.monotonic())

    def leave(self) -> float:
        """Note that a thread has taken the first; return the seconds that it waited."""
        return time.monotonic() - self._waiting.popleft()

    def note_service(self, seconds: float) -> None:
        """Note how long a thread had to do with one: a moving average over some twenty."""
        self._seconds_each += 0.05 * (min(seconds, LONGEST_SERVICE) - self._seconds_each)

    def expected_wait(self) -> float:
        """Return the seconds that the next one would wait (Little, "L = lambda W", 1961)."""
        return len(self._waiting) * self._seconds_each / self._n_threads


def is_to_wait(path: str, seconds: float, limit: float) -> bool:
    """Return whether a request for `path` may wait so long, where `limit` is the usual one."""
    if path.endswith(PICTURE):
        limit = PICTURE_PATIENCE
    return seconds <= limit or path in ALWAYS


def shed(
    application: Application,
    waited: Callable[[], float],
    patience: Patience,
    note_service: Callable[[float], None],
) -> Application:
    """Return an application that answers 503 to what has waited longer than `patience` allows.

    Args:
        application: serves the others.
        waited: returns the seconds that the request at hand did.
        patience: how long it may.
        note_service: is told the seconds of each that is served.
    """

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seconds = waited()
        patience.note(seconds)
        if is_to_wait(environ.get("PATH_INFO", ""), seconds, patience.limit()):
            began = time.monotonic()
            answer = application(environ, start_response)
            note_service(time.monotonic() - began)
            return answer
        _count()
        start_response(_STATUS, _HEADERS)
        return [_BODY]

    return guarded


def _count() -> None:
    from musicrec.metrics import SHED  # after gunicorn has named the folder of its counters

    SHED.inc()


def path_of_whole_request(data: bytes, config: Config, client: Any) -> str | None:
    """Return the path of the request that is `data`, all of it and no more.

    None where it is not, or where it asks for a head alone or for the end of its connection: a
    thread will see to that.
    """
    parser = RequestParser(config, [data], client)
    try:
        request = next(parser)
        n_read = len(request.body.read())
    except (ParseException, OSError, StopIteration):  # a request cut short is an OSError
        return None
    headers = dict(request.headers)
    is_whole = "TRANSFER-ENCODING" not in headers and n_read == int(
        headers.get("CONTENT-LENGTH", 0)
    )
    is_alone = not parser.unreader.take_buffered()
    is_usual = request.method != "HEAD" and not request.should_close()
    return request.path if is_whole and is_alone and is_usual else None


def _as_bytes() -> bytes:
    head = "".join(f"{name}: {text}\r\n" for name, text in _HEADERS)
    return f"HTTP/1.1 {_STATUS}\r\n{head}Connection: keep-alive\r\n\r\n".encode() + _BODY


_ANSWER = _as_bytes()


class SheddingWorker(ThreadWorker):
    """The threaded worker, with the time each request waited for its thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._taken = threading.local()
        self._patience = Patience()
        self._queue = Queue(self.cfg.threads)

    def enqueue_req(self, conn: TConn) -> None:
        """Let a connection wait for a thread; a new one first for something to be said.

        gunicorn lets the threads that serve wait for the first bytes, so that a handful of silent
        connections stops them all.
        """
        if not hasattr(conn, "taken_at"):
            conn.taken_at = time.monotonic()
            if not self._has_said(conn):
                self._await_first_bytes(conn)
                return
        self._queue.enter()
        super().enqueue_req(conn)

    def _has_said(self, conn: TConn) -> bool:
        try:
            conn.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return False
        conn.data_ready = True
        return True

    def _await_first_bytes(self, conn: TConn) -> None:
        conn.timeout = conn.taken_at + FIRST_BYTES
        self.pending_conns.append(conn)
        self.poller.register(
            conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn)
        )

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Give a request on a kept connection to a thread, or turn it away here."""
        if not self._turned_away(conn):
            super().on_client_socket_readable(conn, client)

    def _turned_away(self, conn: TConn) -> bool:
        """Answer a request that would wait too long; return whether this was one.

        This thread must ask for the interpreter after each call of the system, and waits for it
        far longer than it computes: so one call reads, one answers, and the connection stays where
        it is.
        """
        wait, limit = self._queue.expected_wait(), self._patience.limit()
        if wait <= limit or self.cfg.is_ssl or not self.alive:
            return False
        unreader = conn.parser.unreader
        try:
            data = unreader.take_buffered() + conn.sock.recv(LARGEST_UNREAD)
            path = path_of_whole_request(data, self.cfg, conn.client)
            if path is None or is_to_wait(path, wait, limit):
                unreader.unread(data)
                return False
            conn.sock.sendall(_ANSWER)
        except OSError:
            with suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RDWR)  # a thread will find its end
            return False
        conn.set_timeout()
        # They are closed in the order in which they stand there, up to the first that may live on.
        self.keepalived_conns.remove(conn)
        self.keepalived_conns.append(conn)
        _count()
        return True

    def handle(self, conn: TConn) -> Any:
        """Note how long it has waited; a client's own slowness comes later and does not count."""
        self._taken.waited = self._queue.leave()
        return super().handle(conn)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer, and end the connection with the answer if it is old.

        A connection stays with the process that took it, and of many one process may have taken
        more than its share.  A client that is told to come anew is taken by whichever has time.
        One that is turned away keeps its connection: a new one would cost more than it is worth.
        """
        if time.monotonic() - conn.taken_at > LONGEST_CONNECTION:
            req.force_close()
        return super().handle_request(req, conn)

    def load_wsgi(self) -> None:
        """Put the guard in front of the application."""
        super().load_wsgi()
        self.wsgi = shed(self.wsgi, self._waited, self._patience, self._queue.note_service)

    def _waited(self) -> float:
        return self._taken.waited
