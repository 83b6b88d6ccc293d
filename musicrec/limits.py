"""How often a caller may call: counted in Redis, atomically; on its own where Redis is away."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from typing import TYPE_CHECKING

import redis
from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:  # a view imports its throttles, not the other way round
    from rest_framework.views import APIView

WINDOW = 60
"""Seconds in which a limit applies."""

LOCAL_SHARE = 0.25
"""Share of a limit that each process grants by itself while Redis is away."""

RETRY_REDIS = 2.0
"""Seconds before Redis is asked again after it did not answer."""

# One step, so that two requests at once cannot both be the last one allowed.
_COUNT = """
local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return n
"""


class Counts:
    """Counts calls in windows of a minute."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_connect_timeout=0.1, socket_timeout=0.1, retry=None
        )
        self._script = self._redis.register_script(_COUNT)
        self._local: Counter[str] = Counter()
        self._local_window = 0
        self._ask_again = 0.0

    def add(self, key: str, *, limit: int) -> bool:
        """Count one call and return whether it is within the limit."""
        window = int(time.time()) // WINDOW
        if time.monotonic() >= self._ask_again:
            try:
                return int(self._script(keys=[f"limit:{key}:{window}"], args=[WINDOW])) <= limit
            except redis.RedisError:
                self._ask_again = time.monotonic() + RETRY_REDIS
        if window != self._local_window:
            self._local_window = window
            self._local.clear()
        self._local[key] += 1
        return self._local[key] <= max(1, int(limit * LOCAL_SHARE))


_counts: Counts | None = None


def counts() -> Counts:
    """Return this process's connection to the counts."""
    global _counts
    if _counts is None:
        _counts = Counts(settings.REDIS_URL)
    return _counts


class PerCaller(BaseThrottle):
    """Limits a view per listener, or per address for somebody who is not logged in.

    A view names its limit by ``throttle_scope``, one of `settings.RATE_LIMITS`.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Return whether the caller is within the limit."""
        scope = getattr(view, "throttle_scope", "default")
        user = getattr(request.user, "pk", None)
        caller = f"user:{user}" if user else f"address:{self.get_ident(request)}"
        # Addresses are personal data: only a digest is kept, for a minute.
        name = hashlib.sha256(f"{scope}:{caller}".encode()).hexdigest()[:32]
        return counts().add(name, limit=settings.RATE_LIMITS[scope])

    def wait(self) -> float:
        """Return the seconds until the next window."""
        return WINDOW - time.time() % WINDOW
