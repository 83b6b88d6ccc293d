"""Floods of responses: who sends more than a person can, and how little it then counts.

Somebody who wants a track on everybody's list can rate with many accounts, or rate a lot with one.
The limits on requests leave one account 600 a minute, many times what a person listens to; so what
it says beyond that counts less in training, and not at all in the trend (`services/trend.py`), and
all it says has an upper bound.  Many accounts are left to the limits on registration, and to the
alarm on listeners who flood.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from django.db.models import Count
from numpy.typing import NDArray

from recommendations.models import Feedback

FLOOD_PER_HOUR = 240
"""Responses an hour that no person goes beyond: one every 15 seconds for an hour."""

FULL_RESPONSES = 1000
"""Pairs of one listener that count in full; past them, all pairs of the listener share these."""


def flooding_listeners(*, at: datetime) -> list[int]:
    """Return the listeners who gave more than `FLOOD_PER_HOUR` responses in the last hour."""
    rows = (
        Feedback.objects.filter(received_at__gt=at - timedelta(hours=1), received_at__lte=at)
        .order_by()
        .values_list("listener_id")
        .annotate(n=Count("pk"))
        .filter(n__gt=FLOOD_PER_HOUR)
    )
    return sorted(listener for listener, _ in rows)


def weights_per_account(
    user_rows: NDArray[np.integer], *, full: int = FULL_RESPONSES
) -> NDArray[np.float32]:
    """Return the weight of each pair in training, so that no listener weighs more than `full`.

    A listener with n pairs gives each the weight min(1, full / n): the weights of one listener
    add up to at most `full`, however much they send.

    Args:
        user_rows: row of the listener of each pair, shape (n,).
        full: pairs of one listener that count in full, at least 1.
    """
    counts = np.bincount(user_rows) if len(user_rows) else np.zeros(0, np.int64)
    return np.minimum(1.0, full / np.maximum(counts[user_rows], 1)).astype(np.float32)
