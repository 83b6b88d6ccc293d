"""How often a caller may call: counted in Redis, atomically; on its own where Redis is away."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from time import time as now
from typing import TYPE_CHECKING

import redis
from django.conf import settings
from django.http import HttpRequest, HttpResponse
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


@dataclass(frozen=True)
class Allowance:
    """What is left to a caller, after a call.

    Attributes:
        name: of the limit.
        limit: calls in a window.
        used: calls in this window, this one included.
        seconds: until the next window, above 0.
    """

    name: str
    limit: int
    used: int
    seconds: int

    @property
    def allowed(self) -> bool:
        """Whether the call was within the limit."""
        return self.used <= self.limit

    def headers(self) -> dict[str, str]:
        """Return it as the IETF draft "RateLimit header fields for HTTP" (10) writes it."""
        left = max(0, self.limit - self.used)
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit};w={WINDOW}',
            "RateLimit": f'"{self.name}";r={left};t={self.seconds}',
        }


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
        return self.take(key, limit=limit).allowed

    def take(self, key: str, *, limit: int, name: str = "default") -> Allowance:
        """Count one call and return what is left; the limit is the local one without Redis."""
        at = now()
        window, seconds = int(at) // WINDOW, math.ceil(WINDOW - at % WINDOW)
        if monotonic() >= self._ask_again:
            try:
                used = int(self._script(keys=[f"limit:{key}:{window}"], args=[WINDOW]))
                return Allowance(name, limit, used, seconds)
            except redis.RedisError:
                self._ask_again = monotonic() + RETRY_REDIS
        if window != self._local_window:
            self._local_window = window
            self._local.clear()
        self._local[key] += 1
        return Allowance(name, max(1, int(limit * LOCAL_SHARE)), self._local[key], seconds)


_counts: Counts | None = None


def counts() -> Counts:
    """Return this process's connection to the counts."""
    global _counts
    if _counts is None:
        _counts = Counts(settings.REDIS_URL)
    return _counts


class PerCaller(BaseThrottle):
    """Limits a view per listener, per service, or per address for somebody not logged in.

    A view names its limit by ``throttle_scope``, one of `settings.RATE_LIMITS`; a service, which
    speaks for many, has a limit of its own.  `tell_what_is_left` puts it into the answer's headers.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Return whether the caller is within the limit."""
        scope = getattr(view, "throttle_scope", "default")
        user = getattr(request.user, "pk", None)
        caller = f"user:{user}" if user else f"address:{self.get_ident(request)}"
        if service := getattr(request.user, "rate_key", None):
            scope, caller = "services", service
        # Addresses are personal data: only a digest is kept, for a minute.
        key = hashlib.sha256(f"{scope}:{caller}".encode()).hexdigest()[:32]
        self._taken = counts().take(key, limit=settings.RATE_LIMITS[scope], name=scope)
        request._request.rate_allowance = self._taken  # type: ignore[attr-defined]
        return self._taken.allowed

    def wait(self) -> float:
        """Return the seconds until the next window."""
        return self._taken.seconds


def tell_what_is_left(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Write what is left of the caller's limit into the headers of each answer."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        taken = getattr(request, "rate_allowance", None)
        if taken is not None:
            for name, value in taken.headers().items():
                response.headers[name] = value
        return response

    return middleware
