"""A cache that is there while Redis is not."""

import time
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

RETRY_REDIS = 2.0
"""Seconds before Redis is asked again after it did not answer."""


class RedisOrLocalCache(RedisCache):
    """Redis; while it is away, the memory of each process by itself.

    What it holds is limits on tries and figures of pages: those go on with what a process knows,
    and nobody is kept from logging in.
    """

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._local = LocMemCache("while Redis is away", {})
        self._ask_again = 0.0

    def _asked(self, name: str, ask: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if time.monotonic() >= self._ask_again:
            try:
                return ask(*args, **options)
            except RedisError:
                self._ask_again = time.monotonic() + RETRY_REDIS
        return getattr(self._local, name)(*args, **options)

    def add(self, *args: Any, **options: Any) -> Any:
        """Set a value that is not there, and return whether it was not."""
        return self._asked("add", super().add, *args, **options)

    def get(self, *args: Any, **options: Any) -> Any:
        """Return a value, or the default."""
        return self._asked("get", super().get, *args, **options)

    def set(self, *args: Any, **options: Any) -> Any:
        """Set a value."""
        return self._asked("set", super().set, *args, **options)

    def delete(self, *args: Any, **options: Any) -> Any:
        """Delete a value, and return whether there was one."""
        return self._asked("delete", super().delete, *args, **options)
