"""The backend itself, where Django looks for it."""

from __future__ import annotations

import math
from functools import partial
from time import monotonic
from typing import Any

from django.db.backends.postgresql import base

from musicrec.postgres import silence

CHECK_EVERY = 1.0
"""Seconds for which a connection that lived is taken to live on."""


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose health is checked once a second, not before every request's first query.

    A request asks two or three questions, and the check is one more.  If the server goes away
    within that second, the request under way fails, as it would have a moment later, and Django
    drops the connection.  One that says nothing is `musicrec.postgres.silence`'s to see.
    """

    n_cursors = 0
    connecting_since: float | None = None
    peer: Any = None
    _checked_at = -math.inf

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect, unless it is known that nobody would answer."""
        silence.watch.add(self)
        self.connecting_since = monotonic()
        connect = partial(super().get_new_connection, conn_params)
        try:
            driver = silence.watch.open(self.alias, connect)
        finally:
            self.connecting_since = None
        self.peer = silence.peer_of(driver)
        return driver

    def _cursor(self, name: str | None = None) -> Any:
        silence.watch.refuse_where_silent(self.alias)
        self.n_cursors += 1
        return super()._cursor(name)

    def close_if_health_check_failed(self) -> None:
        """Ask, unless that was done within the last second."""
        if self.health_check_done or not self.health_check_enabled or self.connection is None:
            return
        if monotonic() - self._checked_at < CHECK_EVERY:
            self.health_check_done = True
            return
        super().close_if_health_check_failed()
        self._checked_at = monotonic()

    def _close(self) -> None:
        with silence.watch.closing:
            super()._close()
