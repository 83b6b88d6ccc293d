"""Reads that may lag behind: the pages of analytics go to a replica, where there is one.

A router cannot know why a query is asked, so the request says it: within `reading_analytics()` all
reads of this thread go to the database ``analytics``.  Writes, and reads inside a transaction that
was opened on the primary, never do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.db import connections, models
from django.http import HttpRequest, HttpResponse

REPLICA = "analytics"

PRIMARY_ONLY = frozenset({"accounts", "auth", "mfa", "sessions", "usersessions"})
"""Apps that say who asks: a token that was revoked must be so at once."""

_reading = ContextVar("reading_analytics", default=False)


@contextmanager
def reading_analytics() -> Iterator[None]:
    """Read from the replica within the block; from the primary where there is none."""
    token = _reading.set(bool(settings.ANALYTICS_URL))
    try:
        yield
    finally:
        _reading.reset(token)


@contextmanager
def reading_primary() -> Iterator[None]:
    """Read from the primary within the block, for what outlives the request that asks."""
    token = _reading.set(False)
    try:
        yield
    finally:
        _reading.reset(token)


class AnalyticsRouter:
    """Sends reads of analytics to the replica, and everything else to the primary."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        """Return the replica within `reading_analytics`, unless a transaction is open."""
        if not _reading.get() or model._meta.app_label in PRIMARY_ONLY:
            return None
        return None if connections["default"].in_atomic_block else REPLICA

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str:
        """Return the primary."""
        return "default"

    def allow_relation(self, one: models.Model, other: models.Model, **hints: Any) -> bool:
        """Allow it: the replica holds the same rows."""
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Migrate the primary alone; the replica follows it."""
        return db != REPLICA


def read_analytics_from_replica(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Read from the replica for a GET below ``/analytics``."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method in ("GET", "HEAD") and request.path_info.startswith("/analytics"):
            with reading_analytics():
                return get_response(request)
        return get_response(request)

    return middleware
