"""Adding events to the sums, exactly once each, and rebuilding the sums from the ledger."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection, transaction

from accounts.models import Listener
from experiments.core.measures import DISTINCT, RETURNED, contribution
from experiments.ledger import ListenerEvent
from experiments.models import Exposure, ListenerTotal, Metric

# Names of advisory locks; the second is one per listener.
RECOMPUTE_LOCK = 0x4D55_5349_4301
LISTENER_LOCK_BASE = 0x4D55 << 44
RETURN_AFTER = timedelta(days=1)
BATCH = 5_000


@dataclass
class Amount:
    """A numerator and a denominator that grow."""

    numerator: float = 0.0
    denominator: float = 0.0

    def add(self, numerator: float, denominator: float) -> None:
        """Add to both."""
        self.numerator += numerator
        self.denominator += denominator


@transaction.atomic
def apply_events(events: Sequence[ListenerEvent]) -> int:
    """Add events to every sum they touch and return how many had not been added before.

    Call it once in the transaction that closes their outbox rows: any order, any number of
    workers.  Event keys, then listeners, are locked in ascending order, so that two workers never
    wait for each other in a circle.  An event of a listener who was erased is taken and adds
    nothing.

    Raises:
        ValueError: an event's kind or values are not understood; nothing is applied.
    """
    _lock_against_recompute(shared=True)
    return _apply(events)


def _apply(events: Iterable[ListenerEvent]) -> int:
    by_key = {event.event_key: event for event in events}
    claimed = [by_key[key] for key in _claim(sorted(by_key))]
    named = {event.listener_id for event in claimed} - {None}
    known = set(Listener.objects.filter(pk__in=named).values_list("pk", flat=True))
    fresh = [event for event in claimed if event.listener_id in known]
    if not fresh:
        return len(claimed)
    listener_ids = sorted(known)
    _lock_listeners(listener_ids)
    metrics = list(Metric.objects.all())
    exposures = _exposures(listener_ids)
    days: dict[tuple[int, int, date], Amount] = defaultdict(Amount)
    after: dict[tuple[int, int], Amount] = defaultdict(Amount)
    before: dict[tuple[int, int], Amount] = defaultdict(Amount)
    values: set[tuple[int, int, str]] = set()
    for event in fresh:
        added = contribution(event.kind, event.values)
        for metric in metrics:
            seen = added.values.get(metric.numerator)
            if metric.numerator == RETURNED:
                numerator = 1.0
            elif metric.numerator in DISTINCT:
                numerator = float(seen is not None)
            else:
                numerator = added.amounts.get(metric.numerator, 0.0)
            denominator = added.amounts.get(metric.denominator, 0.0)
            if not numerator and not denominator:
                continue
            day = event.at.date()
            days[event.listener_id, metric.pk, day].add(numerator, denominator)
            for exposure in exposures.get(event.listener_id, ()):
                if metric.key not in exposure.phase.metric_roles:
                    continue
                if _is_after(exposure, metric, event.at):
                    counted = numerator
                    if metric.numerator == RETURNED:
                        counted = float(event.at >= exposure.exposed_at + RETURN_AFTER)
                    elif seen is not None:
                        counted = 0.0  # counted below, if the value is new
                        values.add((exposure.pk, metric.pk, seen))
                    if counted or denominator:
                        after[exposure.pk, metric.pk].add(counted, denominator)
                elif exposure.history_settled and _is_before(exposure, metric, day):
                    before[exposure.pk, metric.pk].add(numerator, denominator)
    for exposure_id, metric_id in _count_new_values(values):
        after[exposure_id, metric_id].add(1.0, 0.0)
    _add_days(days)
    flags = {metric.pk for metric in metrics if metric.numerator == RETURNED}
    _add_totals(after, before, flags)
    return len(claimed)


def settle_history(*, limit: int = BATCH) -> int:
    """Put what newly exposed listeners did before exposure into their totals; return how many.

    Under the listeners' locks: an event of the past that is being applied is either in the days
    that are read here, or sees the exposure as settled and adds to the totals itself.
    """
    with transaction.atomic():
        _lock_against_recompute(shared=True)
        pending = list(
            Exposure.objects.filter(history_settled=False, listener__isnull=False)
            .order_by("pk")
            .values_list("pk", "listener_id")[:limit]
        )
        _lock_listeners(sorted({listener_id for _, listener_id in pending}))
        return _settle([pk for pk, _ in pending])


_SETTLE = """
INSERT INTO experiments_listenertotal AS t (exposure_id, metric_id, phase_id, variant_id,
    exposed_at, segment, numerator, denominator, pre_numerator, pre_denominator)
SELECT e.id, m.id, e.phase_id, e.variant_id, e.exposed_at, e.segment, 0, 0,
       sum(d.numerator), sum(d.denominator)
FROM experiments_exposure e
JOIN experiments_phase p ON p.id = e.phase_id
JOIN experiments_metric m ON p.metric_roles ? m.key
JOIN experiments_listenerday d ON d.listener_id = e.listener_id AND d.metric_id = m.id
 AND d.day >= (e.exposed_at AT TIME ZONE 'UTC')::date - m.lookback_days
 AND d.day < (e.exposed_at AT TIME ZONE 'UTC')::date
WHERE e.id = ANY(%s) AND NOT e.history_settled
GROUP BY e.id, m.id
ON CONFLICT (exposure_id, metric_id) DO UPDATE
SET pre_numerator = EXCLUDED.pre_numerator, pre_denominator = EXCLUDED.pre_denominator
"""


def _settle(exposure_ids: list[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE, [exposure_ids])
    return Exposure.objects.filter(pk__in=exposure_ids).update(history_settled=True)


@dataclass(frozen=True)
class Recomputation:
    """What a recomputation found: events read, totals before and after, totals that changed."""

    events: int
    totals: int
    changed: int


_DIFFERENCE = """
SELECT count(*) FROM (SELECT * FROM totals_before) b
FULL JOIN (
    SELECT exposure_id, metric_id, numerator, denominator, pre_numerator, pre_denominator
    FROM experiments_listenertotal
) a USING (exposure_id, metric_id)
WHERE (a.numerator, a.denominator, a.pre_numerator, a.pre_denominator)
   IS DISTINCT FROM (b.numerator, b.denominator, b.pre_numerator, b.pre_denominator)
"""


@transaction.atomic
def recompute(events: Iterable[ListenerEvent]) -> Recomputation:
    """Rebuild every sum from `events`, all that were ever accepted.

    Workers wait while it runs, and what they then deliver again is known by its key.  Totals of
    listeners who had themselves erased are kept: their events are gone.
    """
    _lock_against_recompute(shared=False)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE totals_before ON COMMIT DROP AS SELECT exposure_id, metric_id,"
            " numerator, denominator, pre_numerator, pre_denominator"
            " FROM experiments_listenertotal"
        )
        cursor.execute("DELETE FROM experiments_appliedevent")
        cursor.execute("DELETE FROM experiments_listenerday")
        kept = "exposure_id IN (SELECT id FROM experiments_exposure WHERE listener_id IS NULL)"
        cursor.execute(f"DELETE FROM experiments_listenertotal WHERE NOT {kept}")  # noqa: S608 - constant
        cursor.execute(f"DELETE FROM experiments_seenvalue WHERE NOT {kept}")  # noqa: S608 - constant
    Exposure.objects.filter(listener__isnull=False).update(history_settled=False)
    n_events = 0
    for batch in _batches(events):
        n_events += _apply(batch)
    unsettled = Exposure.objects.filter(history_settled=False, listener__isnull=False)
    while ids := list(unsettled.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        _settle(ids)
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENCE)
        (changed,) = cursor.fetchone()
        cursor.execute("DROP TABLE totals_before")
    return Recomputation(
        events=n_events, totals=ListenerTotal.objects.count(), changed=int(changed)
    )


def _claim(keys: list[str]) -> list[str]:
    """Insert the keys that are new, in the order given, and return those."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO experiments_appliedevent (event_key) SELECT unnest(%s::text[])"
            " ON CONFLICT DO NOTHING RETURNING event_key",
            [keys],
        )
        return sorted(key for (key,) in cursor.fetchall())


def _lock_against_recompute(*, shared: bool) -> None:
    name = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name}(%s)", [RECOMPUTE_LOCK])


def _lock_listeners(listener_ids: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s + id) FROM unnest(%s::bigint[]) AS id",
            [LISTENER_LOCK_BASE, listener_ids],
        )


def _exposures(listener_ids: list[int]) -> dict[int, list[Exposure]]:
    found: dict[int, list[Exposure]] = defaultdict(list)
    for exposure in Exposure.objects.filter(listener__in=listener_ids).select_related("phase"):
        found[exposure.listener_id].append(exposure)
    return found


def _is_after(exposure: Exposure, metric: Metric, at: datetime) -> bool:
    ended_at = exposure.phase.ended_at
    if at < exposure.exposed_at or (ended_at is not None and at >= ended_at):
        return False
    if metric.window_hours is None:
        return True
    return at < exposure.exposed_at + timedelta(hours=metric.window_hours)


def _is_before(exposure: Exposure, metric: Metric, day: date) -> bool:
    exposed_on = exposure.exposed_at.date()
    return exposed_on - timedelta(days=metric.lookback_days) <= day < exposed_on


def _count_new_values(values: set[tuple[int, int, str]]) -> list[tuple[int, int]]:
    if not values:
        return []
    exposure_ids, metric_ids, seen = zip(*sorted(values), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO experiments_seenvalue (exposure_id, metric_id, value)"
            " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[])"
            " ON CONFLICT DO NOTHING RETURNING exposure_id, metric_id",
            [list(exposure_ids), list(metric_ids), list(seen)],
        )
        return cursor.fetchall()


def _add_days(days: dict[tuple[int, int, date], Amount]) -> None:
    rows = sorted(days.items())
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO experiments_listenerday AS d"
            " (listener_id, metric_id, day, numerator, denominator)"
            " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::date[], %s::float8[],"
            " %s::float8[])"
            " ON CONFLICT (listener_id, metric_id, day) DO UPDATE"
            " SET numerator = d.numerator + EXCLUDED.numerator,"
            " denominator = d.denominator + EXCLUDED.denominator",
            [
                [listener_id for (listener_id, _, _), _ in rows],
                [metric_id for (_, metric_id, _), _ in rows],
                [day for (_, _, day), _ in rows],
                [amount.numerator for _, amount in rows],
                [amount.denominator for _, amount in rows],
            ],
        )


# A flag stays 1 however often it is raised, so that its order does not matter either.
_TOTALS = """
INSERT INTO experiments_listenertotal AS t (exposure_id, metric_id, phase_id, variant_id,
    exposed_at, segment, numerator, denominator, pre_numerator, pre_denominator)
SELECT e.id, a.metric_id, e.phase_id, e.variant_id, e.exposed_at, e.segment,
       CASE WHEN a.flag THEN least(a.m, 1) ELSE a.m END, a.d, a.pm, a.pd
FROM unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::float8[], %s::float8[], %s::float8[],
            %s::bool[]) AS a (exposure_id, metric_id, m, d, pm, pd, flag)
JOIN experiments_exposure e ON e.id = a.exposure_id
ON CONFLICT (exposure_id, metric_id) DO UPDATE
SET numerator = CASE WHEN t.metric_id = ANY(%s)
                     THEN least(t.numerator + EXCLUDED.numerator, 1)
                     ELSE t.numerator + EXCLUDED.numerator END,
    denominator = t.denominator + EXCLUDED.denominator,
    pre_numerator = t.pre_numerator + EXCLUDED.pre_numerator,
    pre_denominator = t.pre_denominator + EXCLUDED.pre_denominator
"""


def _add_totals(
    after: dict[tuple[int, int], Amount], before: dict[tuple[int, int], Amount], flags: set[int]
) -> None:
    keys = sorted(after.keys() | before.keys())
    if not keys:
        return
    nothing = Amount()
    with connection.cursor() as cursor:
        cursor.execute(
            _TOTALS,
            [
                [exposure_id for exposure_id, _ in keys],
                [metric_id for _, metric_id in keys],
                [after.get(key, nothing).numerator for key in keys],
                [after.get(key, nothing).denominator for key in keys],
                [before.get(key, nothing).numerator for key in keys],
                [before.get(key, nothing).denominator for key in keys],
                [metric_id in flags for _, metric_id in keys],
                sorted(flags),
            ],
        )


def _batches(events: Iterable[ListenerEvent]) -> Iterable[list[ListenerEvent]]:
    batch: list[ListenerEvent] = []
    for event in events:
        batch.append(event)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
