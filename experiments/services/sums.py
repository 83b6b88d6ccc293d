"""The statements that add to, and take from, the sums of listeners."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db import connection

# Names of advisory locks; the second is one per listener.
RECOMPUTE_LOCK = 0x4D55_5349_4301
LISTENER_LOCK_BASE = 0x4D55 << 44

Value = tuple[int, int, str]  # (exposure id, metric id, what is counted once)


@dataclass
class Amount:
    """A numerator and a denominator that change."""

    numerator: float = 0.0
    denominator: float = 0.0

    def add(self, numerator: float, denominator: float) -> None:
        """Add to both."""
        self.numerator += numerator
        self.denominator += denominator


class Changes:
    """What a batch of events changes: additions, and for retractions the same taken away.

    Attributes:
        days: by (listener id, metric id, UTC day).
        after: by (exposure id, metric id), of what happened after exposure.
        before: likewise, of what happened in the window before it.
        given: values to be counted once, with how many events gave them.
        taken: likewise, values whose events are withdrawn.
    """

    def __init__(self) -> None:
        self.days: dict[tuple[int, int, date], Amount] = defaultdict(Amount)
        self.after: dict[tuple[int, int], Amount] = defaultdict(Amount)
        self.before: dict[tuple[int, int], Amount] = defaultdict(Amount)
        self.given: Counter[Value] = Counter()
        self.taken: Counter[Value] = Counter()

    def write(self) -> None:
        """Change the sums; call it under the locks of the listeners."""
        for exposure_id, metric_id in _new_values(self.given):
            self.after[exposure_id, metric_id].add(1.0, 0.0)
        for exposure_id, metric_id in _gone_values(self.taken):
            self.after[exposure_id, metric_id].add(-1.0, 0.0)
        _change_days(self.days)
        _change_totals(self.after, self.before)


def lock_against_recompute(*, shared: bool) -> None:
    """Let those who share the lock go on together, and a recomputation alone."""
    name = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name}(%s)", [RECOMPUTE_LOCK])


def lock_listeners(listener_ids: Iterable[int]) -> None:
    """Hold the listeners' locks, taken in ascending order, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s + id) FROM unnest(%s::bigint[]) AS id",
            [LISTENER_LOCK_BASE, sorted(listener_ids)],
        )


def _new_values(given: Counter[Value]) -> list[tuple[int, int]]:
    """Count values and return where one was new."""
    if not given:
        return []
    rows = sorted(given.items())
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO experiments_seenvalue AS s (exposure_id, metric_id, value, n)"
            " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::int[])"
            " ON CONFLICT (exposure_id, metric_id, value) DO UPDATE SET n = s.n + EXCLUDED.n"
            " RETURNING exposure_id, metric_id, value, n",
            _columns(rows),
        )
        return [(e, m) for e, m, value, n in cursor.fetchall() if n == given[e, m, value]]


def _gone_values(taken: Counter[Value]) -> list[tuple[int, int]]:
    """Count values down and return where no event gives one any more."""
    if not taken:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE experiments_seenvalue s SET n = s.n - t.n"
            " FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::int[])"
            " AS t (exposure_id, metric_id, value, n)"
            " WHERE (s.exposure_id, s.metric_id, s.value) = (t.exposure_id, t.metric_id, t.value)"
            " RETURNING s.id, s.n",
            _columns(sorted(taken.items())),
        )
        gone = [pk for pk, n in cursor.fetchall() if n <= 0]
        cursor.execute(
            "DELETE FROM experiments_seenvalue WHERE id = ANY(%s) RETURNING exposure_id, metric_id",
            [gone],
        )
        return cursor.fetchall()


def _columns(rows: list[tuple[Value, int]]) -> list[list[int] | list[str]]:
    return [
        [exposure_id for (exposure_id, _, _), _ in rows],
        [metric_id for (_, metric_id, _), _ in rows],
        [value for (_, _, value), _ in rows],
        [n for _, n in rows],
    ]


# A row that comes to nothing goes: a recomputation would not write it either.
_DAYS = """
INSERT INTO experiments_listenerday AS d (listener_id, metric_id, day, numerator, denominator)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::date[], %s::float8[], %s::float8[])
ON CONFLICT (listener_id, metric_id, day) DO UPDATE
SET numerator = d.numerator + EXCLUDED.numerator,
    denominator = d.denominator + EXCLUDED.denominator
"""
_EMPTY_DAYS = """
DELETE FROM experiments_listenerday d
USING unnest(%s::bigint[], %s::bigint[], %s::date[]) AS t (listener_id, metric_id, day)
WHERE (d.listener_id, d.metric_id, d.day) = (t.listener_id, t.metric_id, t.day)
  AND d.numerator <= 0 AND d.denominator <= 0
"""


def _change_days(days: dict[tuple[int, int, date], Amount]) -> None:
    rows = sorted(days.items())
    keys = [[key[i] for key, _ in rows] for i in range(3)]
    amounts = [amount for _, amount in rows]
    with connection.cursor() as cursor:
        cursor.execute(
            _DAYS, [*keys, [a.numerator for a in amounts], [a.denominator for a in amounts]]
        )
        shrunk = [key for key, a in rows if min(a.numerator, a.denominator) < 0]
        if shrunk:
            cursor.execute(_EMPTY_DAYS, [[key[i] for key in shrunk] for i in range(3)])


_TOTALS = """
INSERT INTO experiments_listenertotal AS t (exposure_id, metric_id, phase_id, variant_id,
    exposed_at, segment, numerator, denominator, pre_numerator, pre_denominator)
SELECT e.id, a.metric_id, e.phase_id, e.variant_id, e.exposed_at, e.segment, a.m, a.d, a.pm, a.pd
FROM unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::float8[], %s::float8[], %s::float8[])
     AS a (exposure_id, metric_id, m, d, pm, pd)
JOIN experiments_exposure e ON e.id = a.exposure_id
ON CONFLICT (exposure_id, metric_id) DO UPDATE
SET numerator = t.numerator + EXCLUDED.numerator,
    denominator = t.denominator + EXCLUDED.denominator,
    pre_numerator = t.pre_numerator + EXCLUDED.pre_numerator,
    pre_denominator = t.pre_denominator + EXCLUDED.pre_denominator
"""
_EMPTY_TOTALS = """
DELETE FROM experiments_listenertotal t
USING unnest(%s::bigint[], %s::bigint[]) AS g (exposure_id, metric_id)
WHERE (t.exposure_id, t.metric_id) = (g.exposure_id, g.metric_id)
  AND t.numerator <= 0 AND t.denominator <= 0 AND t.pre_numerator <= 0 AND t.pre_denominator <= 0
"""


def _change_totals(
    after: dict[tuple[int, int], Amount], before: dict[tuple[int, int], Amount]
) -> None:
    keys = sorted(after.keys() | before.keys())
    if not keys:
        return
    nothing = Amount()
    amounts = [(after.get(key, nothing), before.get(key, nothing)) for key in keys]
    ids = [[exposure_id for exposure_id, _ in keys], [metric_id for _, metric_id in keys]]
    columns = [
        [a.numerator for a, _ in amounts],
        [a.denominator for a, _ in amounts],
        [b.numerator for _, b in amounts],
        [b.denominator for _, b in amounts],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS, [*ids, *columns])
        shrunk = [key for key, *values in zip(keys, *columns, strict=True) if min(values) < 0]
        if shrunk:
            cursor.execute(_EMPTY_TOTALS, [list(part) for part in zip(*shrunk, strict=True)])
