"""gunicorn's threaded worker, which turns requests away rather than let all of them wait.

Its threads take requests from a queue without end.  Asked for more than the machine can do, the
queue grows, every request waits longer than its client does, and nothing is answered in time.  A
request that has waited longer than `PATIENCE` is answered with 503 and Retry-After at once, which
costs a fraction of a millisecond; so those that are accepted are answered in time, and the queue is
empty again as soon as the crowd is gone.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

PATIENCE = 0.4
"""Seconds that a request may wait for a thread."""

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


def shed(
    application: Application, waited: Callable[[], float], *, patience: float = PATIENCE
) -> Application:
    """Return an application that answers 503 to what has waited longer than `patience` seconds."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        limit = PICTURE_PATIENCE if path.endswith(PICTURE) else patience
        if waited() <= limit or path in ALWAYS:
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
        """Note when a connection with a request begins to wait."""
        conn.enqueued_at = time.monotonic()
        super().enqueue_req(conn)

    def handle(self, conn: TConn) -> Any:
        """Note how long it has waited; a client's own slowness comes later and does not count."""
        self._waiting.seconds = time.monotonic() - conn.enqueued_at
        return super().handle(conn)

    def load_wsgi(self) -> None:
        """Put the guard in front of the application."""
        super().load_wsgi()
        self.wsgi = shed(self.wsgi, lambda: getattr(self._waiting, "seconds", 0.0))
