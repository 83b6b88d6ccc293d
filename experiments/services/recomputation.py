"""What newly exposed listeners did before, and every sum rebuilt from the ledger."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection, transaction

from experiments.ledger import ListenerEvent
from experiments.models import Exposure, ListenerTotal
from experiments.services.events import BATCH, bring_in
from experiments.services.sums import lock_against_recompute, lock_listeners

SETTLED_AT_ONCE = 1_000
"""Each listener is locked meanwhile; of locks Postgres has room for 6,400 unless told otherwise."""


def settle_history(*, limit: int = SETTLED_AT_ONCE) -> int:
    """Put what newly exposed listeners did before exposure into their totals; return how many.

    Under the listeners' locks: an event of the past that is being applied is either in the days
    that are read here, or sees the exposure as settled and adds to the totals itself.
    """
    with transaction.atomic():
        lock_against_recompute(shared=True)
        pending = list(
            Exposure.objects.filter(history_settled=False, listener__isnull=False)
            .order_by("pk")
            .values_list("pk", "listener_id")[:limit]
        )
        lock_listeners({listener_id for _, listener_id in pending})
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

    Workers wait while it runs, and what they then deliver again is known by its key.  An event that
    was withdrawn comes with `retracted_at`, so that, delivered late, it still adds nothing.  Totals
    of listeners who had themselves erased are kept: their events are gone.
    """
    lock_against_recompute(shared=False)
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
        n_events += bring_in(batch, is_alone=True)
    unsettled = Exposure.objects.filter(history_settled=False, listener__isnull=False)
    last = 0
    while ids := list(
        unsettled.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]
    ):
        _settle(ids)
        last = ids[-1]
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENCE)
        (changed,) = cursor.fetchone()
        cursor.execute("DROP TABLE totals_before")
    return Recomputation(
        events=n_events, totals=ListenerTotal.objects.count(), changed=int(changed)
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
