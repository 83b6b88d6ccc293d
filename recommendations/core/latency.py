"""Durations in fixed logarithmic buckets: rows of any process and minute add up exactly.

Bucket i holds durations above `BOUNDS_MS[i - 1]` up to `BOUNDS_MS[i]`; bounds grow by 2^(1/8), so
that a percentile read from them is at most 9 % too large and never too small.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

N_BUCKETS = 136
LOWEST_MS = 0.25
BOUNDS_MS = tuple(LOWEST_MS * 2 ** (i / 8) for i in range(N_BUCKETS))
"""Upper bounds; the last bucket also holds all that is longer, above half a minute."""


def bucket_of(duration_ms: float) -> int:
    """Return the bucket of a duration.

    Raises:
        ValueError: it is negative or no number.
    """
    if not duration_ms >= 0:
        raise ValueError(f"a duration is at least 0 ms, got {duration_ms}")
    return min(bisect_left(BOUNDS_MS, duration_ms), N_BUCKETS - 1)


def percentile(counts: Sequence[int], share: float) -> float | None:
    """Return the duration in ms that `share` of the requests did not exceed; None without any.

    Args:
        counts: per bucket, shape (N_BUCKETS,).
        share: in (0, 1].

    Returns:
        The upper bound of the bucket in which that request lies.

    Raises:
        ValueError: the wrong number of buckets, or a share out of range.
    """
    if len(counts) != N_BUCKETS:
        raise ValueError(f"there are {N_BUCKETS} buckets, got {len(counts)}")
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], got {share}")
    total = sum(counts)
    if not total:
        return None
    wanted, seen = share * total, 0
    for bound, count in zip(BOUNDS_MS, counts, strict=True):
        seen += count
        if seen >= wanted - 1e-9:
            return bound
    return BOUNDS_MS[-1]
