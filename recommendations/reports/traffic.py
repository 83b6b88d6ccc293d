"""How long requests take and how many fail; from the minutes that web processes keep."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from recommendations.core.latency import N_BUCKETS, percentile
from recommendations.models import RequestMinute

RECOMMEND = "POST recommend"
HOUR = timedelta(hours=1)
RECENT = timedelta(minutes=15)


@dataclass(frozen=True)
class Timing:
    """The requests of one endpoint, or of one strategy, in a window.

    Attributes:
        name: endpoint (method and route) or strategy.
        p50, p95, p99: durations in ms, at most 9 % too large; None without a request.
    """

    name: str
    n: int
    n_errors: int
    n_refused: int
    n_fallbacks: int
    p50: float | None
    p95: float | None
    p99: float | None

    @property
    def error_rate(self) -> float | None:
        """Share of answers with status 500 or above."""
        return self.n_errors / self.n if self.n else None

    @property
    def fallback_rate(self) -> float | None:
        """Share of lists that another strategy made."""
        return self.n_fallbacks / self.n if self.n else None


@dataclass(frozen=True)
class Traffic:
    """The last hour, and the last 15 minutes of it.

    Attributes:
        endpoints: of the hour, the busiest first.
        strategies: of the lists of the hour, by strategy served.
        total: all requests of the hour.
        recent: all requests of the last 15 minutes.
        recent_lists: the lists among them.
    """

    endpoints: list[Timing]
    strategies: list[Timing]
    total: Timing
    recent: Timing
    recent_lists: Timing


_Row = tuple[datetime, str, str, int, int, int, int, list[int]]


def traffic(*, at: datetime) -> Traffic:
    """Return the last hour's requests; one query."""
    rows: list[_Row] = list(
        RequestMinute.objects.since(at - HOUR).values_list(
            "minute", "endpoint", "strategy", "n", "n_errors", "n_refused", "n_fallbacks", "buckets"
        )
    )
    recent = [row for row in rows if row[0] >= at - RECENT]
    by_endpoint: dict[str, list[_Row]] = {}
    by_strategy: dict[str, list[_Row]] = {}
    for row in rows:
        by_endpoint.setdefault(row[1], []).append(row)
        if row[2]:
            by_strategy.setdefault(row[2], []).append(row)
    return Traffic(
        endpoints=sorted(
            (_timing(name, group) for name, group in by_endpoint.items()),
            key=lambda timing: (-timing.n, timing.name),
        ),
        strategies=sorted(
            (_timing(name, group) for name, group in by_strategy.items()),
            key=lambda timing: timing.name,
        ),
        total=_timing("all", rows),
        recent=_timing("all", recent),
        recent_lists=_timing(RECOMMEND, [row for row in recent if row[1] == RECOMMEND]),
    )


def _timing(name: str, rows: Iterable[_Row]) -> Timing:
    counts = np.zeros(N_BUCKETS, np.int64)
    n = errors = refused = fallbacks = 0
    for row in rows:
        n, errors = n + row[3], errors + row[4]
        refused, fallbacks = refused + row[5], fallbacks + row[6]
        counts += np.array(row[7], np.int64)
    buckets = counts.tolist()
    p50, p95, p99 = (percentile(buckets, share) for share in (0.5, 0.95, 0.99))
    return Timing(name, n, errors, refused, fallbacks, p50, p95, p99)
