"""The backend itself, where Django looks for it."""

from __future__ import annotations

import math
from time import monotonic

from django.db.backends.postgresql import base

CHECK_EVERY = 1.0
"""Seconds for which a connection that lived is taken to live on."""


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose health is checked once a second, not before every request's first query.

    A request asks two or three questions, and the check is one more.  If the server goes away
    within that second, the request under way fails, as it would have a moment later, and Django
    drops the connection.
    """

    _checked_at = -math.inf

    def close_if_health_check_failed(self) -> None:
        """Ask, unless that was done within the last second."""
        if self.health_check_done or not self.health_check_enabled or self.connection is None:
            return
        if monotonic() - self._checked_at < CHECK_EVERY:
            self.health_check_done = True
            return
        super().close_if_health_check_failed()
        self._checked_at = monotonic()
