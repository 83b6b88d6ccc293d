"""gunicorn's threaded worker, which turns requests away rather than let all of them wait.

Its threads take requests from a queue without end.  Asked for more than the machine can do, the
queue grows, every request waits longer than its client does, and nothing is answered in time.  A
request that has waited longer than `Patience` allows is answered with 503 and Retry-After at once,
which costs a fraction of a millisecond; so those that are accepted are answered in time, and the
queue is empty again as soon as the crowd is gone.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

PATIENCE = 0.4
"""Seconds that a request may wait for a thread in a burst."""

STANDING_PATIENCE = 0.1
"""Seconds that it may wait while the queue has been standing."""

STANDING_AFTER = 2.0
"""Seconds without a request that found a free thread, after which a queue is a standing one."""

NO_WAIT = 0.02
"""Seconds up to which a request found a free thread."""

LONGEST_CONNECTION = 5.0
"""Seconds after which a connection is ended with the answer to its next request."""

PICTURE = "/cover.svg"
PICTURE_PATIENCE = 5.0
"""Seconds that a picture may wait: a page asks for many at once, and a browser never asks again."""

RETRY_AFTER = 2
"""Seconds after which a client that was turned away may come again."""

ALWAYS = frozenset({"/livez", "/readyz", "/metrics"})
"""What says how the process is must answer also, and above all, when there is too much to do."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

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

    Args:
        now: the clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._free_at = now()

    def after(self, waited: float) -> float:
        """Return how long a request may wait that has waited `waited`."""
        at = self._now()
        if waited <= NO_WAIT:
            self._free_at = at
        return PATIENCE if at - self._free_at < STANDING_AFTER else STANDING_PATIENCE


def shed(application: Application, waited: Callable[[], float], patience: Patience) -> Application:
    """Return an application that answers 503 to what has waited longer than `patience` allows."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path, seconds = environ.get("PATH_INFO", ""), waited()
        limit = patience.after(seconds)
        if path.endswith(PICTURE):
            limit = PICTURE_PATIENCE
        if seconds <= limit or path in ALWAYS:
            return application(environ, start_response)
        from musicrec.metrics import SHED  # after gunicorn has named the folder of its counters

        SHED.inc()
        start_response("503 Service Unavailable", _HEADERS)
        return [_BODY]

    return guarded


class SheddingWorker(ThreadWorker):
    """The threaded worker, with the time each request waited for its thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting = threading.local()

    def enqueue_req(self, conn: TConn) -> None:
        """Note when a connection with a request begins to wait, and when its first one did."""
        conn.enqueued_at = time.monotonic()
        if not hasattr(conn, "taken_at"):
            conn.taken_at = conn.enqueued_at
        super().enqueue_req(conn)

    def handle(self, conn: TConn) -> Any:
        """Note how long it has waited; a client's own slowness comes later and does not count."""
        self._waiting.seconds = time.monotonic() - conn.enqueued_at
        return super().handle(conn)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer, and end the connection with the answer if it is old.

        A connection stays with the process that took it, and of many one process may have taken
        more than its share.  A client that is told to come anew is taken by whichever has time.
        """
        if time.monotonic() - conn.taken_at > LONGEST_CONNECTION:
            req.force_close()
        return super().handle_request(req, conn)

    def load_wsgi(self) -> None:
        """Put the guard in front of the application."""
        super().load_wsgi()
        self.wsgi = shed(self.wsgi, lambda: self._waiting.seconds, Patience())
