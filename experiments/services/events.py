"""Adding events to the sums, and taking withdrawn ones out again, exactly once each."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from django.db import connection, transaction

from accounts.models import Listener
from experiments.core.measures import DISTINCT, RETURNED, contribution
from experiments.ledger import ListenerEvent
from experiments.models import AppliedEvent, Exposure, KeyHorizon, Metric
from experiments.services.sums import Changes, lock_against_recompute, lock_listeners

RETURN_AFTER = timedelta(days=1)
BATCH = 5_000


@transaction.atomic
def apply_events(events: Sequence[ListenerEvent]) -> int:
    """Bring events into every sum they touch and return how many said something new.

    Call it once in the transaction that closes their outbox rows: any order, any number of
    workers.  An event with `retracted_at` is taken out again; where the event itself has not come
    yet, it will add nothing when it does.  Event keys, then listeners, are locked in ascending
    order, so that two workers never wait for each other in a circle.  An event of a listener who
    was erased is taken and adds nothing.

    Raises:
        ValueError: an event's kind or values are not understood; nothing is applied.
    """
    lock_against_recompute(shared=True)
    since = KeyHorizon.objects.values_list("since", flat=True).first()
    if since is not None:
        # Before it every event was applied long ago; that its key is gone must not let it in again.
        events = [e for e in events if (e.retracted_at or e.accepted_at) >= since]
    return bring_in(events, keys_kept_since=since)


def bring_in(
    events: Iterable[ListenerEvent],
    *,
    keys_kept_since: datetime | None = None,
    is_alone: bool = False,
) -> int:
    """Do what `apply_events` does, under a lock against recomputation that the caller holds.

    Where the caller holds it alone, no listener is locked: nobody else can change a sum, and locks
    of all the listeners there are would not fit into Postgres' table of them.
    """
    plain = {event.event_key: event for event in events if event.retracted_at is None}
    withdrawn = {event.event_key: event for event in events if event.retracted_at is not None}
    new = _claim(plain | withdrawn)
    withdrawn_now = _claim_retractions(withdrawn)
    added = [plain[key] for key in new if key in plain and key not in withdrawn]
    removed = [
        withdrawn[key]
        for key in withdrawn_now
        if key not in new or _is_before(withdrawn[key].accepted_at, keys_kept_since)
    ]
    _change(added, removed, is_alone=is_alone)
    return len(new & plain.keys()) + len(withdrawn_now)


@transaction.atomic
def take_over(events: Iterable[ListenerEvent]) -> None:
    """Add to a listener's sums what was another's until now.

    Call it in the transaction that makes the events theirs and removes the other listener, whose
    sums go away with them.  So it does not matter which of the events were in those sums already:
    each counts here, unless it is withdrawn, and one that is still owed adds nothing when it comes.
    As in `apply_events` keys are locked before listeners: a worker with one of the events has
    finished when it is added here.
    """
    lock_against_recompute(shared=True)
    known = {event.event_key: event for event in events}
    withdrawn = {key: event for key, event in known.items() if event.retracted_at is not None}
    _claim(known)
    _claim_retractions(withdrawn)
    _change([known[key] for key in known.keys() - withdrawn.keys()], [], is_alone=False)


@transaction.atomic
def prune_keys(*, before: datetime) -> int:
    """Forget the keys of events accepted before a time, and return how many.

    From then on such an event, should it be delivered once more, is known to be in the sums by its
    time alone.  So `before` must not be later than the acceptance of any event that is still owed.
    It never moves back.
    """
    horizon, _ = KeyHorizon.objects.select_for_update().get_or_create(
        pk=1, defaults={"since": before}
    )
    if before > horizon.since:
        horizon.since = before
        horizon.save()
    deleted, _ = AppliedEvent.objects.filter(accepted_at__lt=horizon.since).delete()
    return deleted


def _change(
    added: Sequence[ListenerEvent], removed: Sequence[ListenerEvent], *, is_alone: bool
) -> None:
    named = {event.listener_id for event in (*added, *removed)} - {None}
    known = set(Listener.objects.filter(pk__in=named).values_list("pk", flat=True))
    if not known:
        return
    if not is_alone:
        lock_listeners(known)
    metrics = list(Metric.objects.all())
    exposures = _exposures(known)
    changes = Changes()
    for sign, events in ((1, added), (-1, removed)):
        for event in events:
            if event.listener_id in known:
                _collect(event, sign, metrics, exposures.get(event.listener_id, ()), changes)
    changes.write()


def _collect(
    event: ListenerEvent,
    sign: int,
    metrics: Sequence[Metric],
    exposures: Sequence[Exposure],
    changes: Changes,
) -> None:
    """Note what one event adds to each metric, or takes from it where `sign` is -1."""
    added = contribution(event.kind, event.values)
    day = event.at.date()
    for metric in metrics:
        denominator = sign * added.amounts.get(metric.denominator, 0.0)
        counted_once = metric.numerator in DISTINCT or metric.numerator == RETURNED
        value = "yes" if metric.numerator == RETURNED else added.values.get(metric.numerator)
        if counted_once:
            numerator = sign * float(value is not None)
        else:
            numerator = sign * added.amounts.get(metric.numerator, 0.0)
        if not numerator and not denominator:
            continue
        changes.days[event.listener_id, metric.pk, day].add(numerator, denominator)
        for exposure in exposures:
            if metric.key not in exposure.phase.metric_roles:
                continue
            key = (exposure.pk, metric.pk)
            if _is_after_exposure(exposure, metric, event.at):
                if not counted_once:
                    changes.after[key].add(numerator, denominator)
                    continue
                if denominator:
                    changes.after[key].add(0.0, denominator)
                too_soon = event.at < exposure.exposed_at + RETURN_AFTER
                if value is not None and not (metric.numerator == RETURNED and too_soon):
                    (changes.given if sign > 0 else changes.taken)[*key, value] += 1
            elif exposure.history_settled and _is_in_history(exposure, metric, day):
                changes.before[key].add(numerator, denominator)


def _claim(events: dict[str, ListenerEvent]) -> set[str]:
    """Insert the keys that are new, in ascending order, and return those."""
    keys = sorted(events)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO experiments_appliedevent (event_key, accepted_at, is_retracted)"
            " SELECT key, at, false FROM unnest(%s::text[], %s::timestamptz[]) AS t (key, at)"
            " ON CONFLICT DO NOTHING RETURNING event_key",
            [keys, [events[key].accepted_at for key in keys]],
        )
        return {key for (key,) in cursor.fetchall()}


def _claim_retractions(events: dict[str, ListenerEvent]) -> list[str]:
    """Mark keys as retracted, in ascending order, and return those that were not yet."""
    if not events:
        return []
    keys = sorted(events)
    with connection.cursor() as cursor:
        # The key stays as long as the retraction's own would.
        cursor.execute(
            "UPDATE experiments_appliedevent a"
            " SET is_retracted = true, accepted_at = greatest(a.accepted_at, t.at)"
            " FROM (SELECT event_key FROM experiments_appliedevent"
            "  WHERE event_key = ANY(%s) AND NOT is_retracted ORDER BY 1 FOR UPDATE) AS mine,"
            " unnest(%s::text[], %s::timestamptz[]) AS t (key, at)"
            " WHERE a.event_key = mine.event_key AND t.key = a.event_key"
            " RETURNING a.event_key",
            [keys, keys, [events[key].retracted_at for key in keys]],
        )
        return sorted(key for (key,) in cursor.fetchall())


def _exposures(listener_ids: Iterable[int]) -> dict[int, list[Exposure]]:
    found: dict[int, list[Exposure]] = {}
    exposures = Exposure.objects.filter(listener__in=listener_ids).with_end()
    for exposure in exposures.select_related("phase"):
        found.setdefault(exposure.listener_id, []).append(exposure)
    return found


def _is_after_exposure(exposure: Exposure, metric: Metric, at: datetime) -> bool:
    ends_at = exposure.ends_at
    if at < exposure.exposed_at or (ends_at is not None and at >= ends_at):
        return False
    if metric.window_hours is None:
        return True
    return at < exposure.exposed_at + timedelta(hours=metric.window_hours)


def _is_in_history(exposure: Exposure, metric: Metric, day: date) -> bool:
    exposed_on = exposure.exposed_at.date()
    return exposed_on - timedelta(days=metric.lookback_days) <= day < exposed_on


def _is_before(at: datetime, limit: datetime | None) -> bool:
    return limit is not None and at < limit
