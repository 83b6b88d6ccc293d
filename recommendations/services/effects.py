"""What a slate or a response still owes once it is committed: bandit, experiment, trend.

The rows of the outbox are applied in batches by any number of workers.  A batch takes rows nobody
else holds, applies them and closes them in one transaction; so an effect happens exactly once,
whatever dies when.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Min

import bandits.services
import experiments.services
from accounts.models import Listener
from experiments.services import ListenerEvent
from recommendations.core.preference import preference_by_track
from recommendations.models import Feedback, OutboxEvent, Recommendation
from recommendations.models.ledger import RecommendationQuerySet
from recommendations.models.listening import FeedbackQuerySet
from recommendations.services.trend import move_trend

logger = logging.getLogger(__name__)

Kind = OutboxEvent.Kind
BATCH = 200
FIRST_RETRY = timedelta(seconds=2)
KEY_LIFETIME = timedelta(days=180)
CLOSED_LIFETIME = timedelta(days=7)
"""How long it can be looked up when an effect happened."""


def drain_outbox(*, at: datetime, batch: int = BATCH) -> int:
    """Apply one batch of open events and return how many it held.

    A batch that fails is applied one by one, so that a single bad event holds up only itself; it
    is tried again later and later, and left for a person after `OutboxEvent.MAX_ATTEMPTS`.
    """
    with transaction.atomic():
        events = list(_due(at)[:batch])
        try:
            with transaction.atomic():
                _apply(events, at)
                _close(events, at)
        except Exception:
            # Whatever it is, it must not stop the others; each is tried alone below.
            logger.exception("a batch of %s events failed; trying them one by one", len(events))
        else:
            return len(events)
        for event in events:
            try:
                with transaction.atomic():
                    _apply([event], at)
                    _close([event], at)
            except Exception as error:
                delay = FIRST_RETRY * 2**event.attempts
                OutboxEvent.objects.filter(pk=event.pk).update(
                    attempts=F("attempts") + 1,
                    due_at=at + delay,
                    last_error=f"{type(error).__name__}: {error}"[:2000],
                )
    return len(events)


def _due(at: datetime):
    return (
        OutboxEvent.objects.open()
        .filter(due_at__lte=at, attempts__lt=OutboxEvent.MAX_ATTEMPTS)
        .select_for_update(of=("self",), skip_locked=True)
        .select_related("feedback__track", "feedback__retraction", "recommendation")
        .only(*_USED)
        .order_by("pk")
    )


_USED = (
    *("kind", "attempts"),
    *(
        f"recommendation__{name}"
        for name in ("listener_id", "created_at", "latency_ms", "strategy", "chosen_strategy")
    ),
    *(
        f"feedback__{name}"
        for name in (
            *("listener_id", "recommendation_id", "kind", "rating", "completion", "preference"),
            *("occurred_at", "received_at", "track__artist_id", "retraction__retracted_at"),
        )
    ),
)
"""What effects read; the rest of a slate is most of its row, and takes most of the time to read."""


def _close(events: Sequence[OutboxEvent], at: datetime) -> None:
    OutboxEvent.objects.filter(pk__in=[event.pk for event in events]).update(closed_at=at)


def _apply(events: Sequence[OutboxEvent], at: datetime) -> None:
    """Apply the effects; each part locks its rows in one order, so that workers never deadlock."""
    # The slate of a listener who was erased stays in the ledger, and is nobody's any more.
    events = [event for event in events if _is_somebodys(event)]
    taken_back = [event.feedback for event in events if event.kind == Kind.RETRACTION]
    responses = [event.feedback for event in events if event.kind == Kind.FEEDBACK]
    move_trend(responses, taken_back)
    experiments.services.apply_events([_listener_event(event) for event in events])
    reward_slates([*responses, *taken_back], at)


def _is_somebodys(event: OutboxEvent) -> bool:
    subject = event.feedback or event.recommendation
    return subject is not None and subject.listener_id is not None


def reward_slates(responses: Sequence[Feedback], at: datetime) -> None:
    """Give the bandit the reward that the responses so far make of each slate they answer.

    It is the mean preference of the tracks responded to.  It is computed from all responses within
    the bandit's window, under the slate's lock, so it is the same whatever the order and number of
    workers.
    """
    keys = {r.recommendation_id for r in responses if r.recommendation_id}
    if not keys:
        return
    ends = bandits.services.windows(keys)  # of those that a bandit decided
    # Locked in one order: whoever comes second waits, and then sees the first one's responses.
    slates = Recommendation.objects.select_for_update().filter(pk__in=ends).order_by("pk")
    for slate in slates.values_list("pk", flat=True):
        in_time = (
            Feedback.objects.standing()
            .filter(recommendation=slate, occurred_at__lte=ends[slate])
            .order_by("occurred_at", "pk")
            .values_list("track_id", "kind", "preference")
        )
        tracks = preference_by_track(in_time).values()
        reward = sum(tracks) / len(tracks) if tracks else None
        bandits.services.credit(request_id=slate, reward=reward, at=at)


def prune_event_keys(*, at: datetime) -> int:
    """Let the experiments forget the keys of events applied long ago, and return how many."""
    oldest = OutboxEvent.objects.open().aggregate(at=Min("created_at"))["at"]
    return experiments.services.prune_keys(before=min(at - KEY_LIFETIME, oldest or at))


def prune_outbox(*, at: datetime, batch: int = 10_000) -> int:
    """Remove events that were closed longer than `CLOSED_LIFETIME` ago, and return how many.

    In batches, so that no lock is held for long and what a stop interrupts is gone on with.
    """
    long_closed = OutboxEvent.objects.filter(closed_at__lt=at - CLOSED_LIFETIME)
    removed = 0
    while keys := list(long_closed.order_by("pk").values_list("pk", flat=True)[:batch]):
        removed += OutboxEvent.objects.filter(pk__in=keys).delete()[0]
    return removed


def all_listener_events() -> Iterator[ListenerEvent]:
    """Yield every slate and response ever accepted, in the terms of `experiments`."""
    slates = Recommendation.objects.filter(listener__isnull=False)
    yield from _listener_events(slates, Feedback.objects.of_listeners())


def give_events(
    slates: RecommendationQuerySet, responses: FeedbackQuerySet, *, to: Listener
) -> None:
    """Let slates and responses count in experiments for a listener whose they were not before.

    Call it in the transaction that makes them theirs, before slates are locked, as workers do.
    """
    events = _listener_events(slates, responses)
    experiments.services.take_over(replace(event, listener_id=to.pk) for event in events)


def _listener_events(
    slates: RecommendationQuerySet, responses: FeedbackQuerySet
) -> Iterator[ListenerEvent]:
    """Yield what experiments count of slates and responses.

    Listener by listener, so that who adds them up writes each sum a few times, and not once for
    every event of a listener.
    """
    for slate in slates.by_policy().order_by("listener_id").iterator(chunk_size=5000):
        yield _slate_event(slate)
    given = responses.given_here().select_related("track", "retraction")
    for feedback in given.order_by("listener_id").iterator(chunk_size=5000):
        # What was taken back comes as such, so that delivered late it still adds nothing.
        yield _feedback_event(feedback, taken_back=hasattr(feedback, "retraction"))


def _listener_event(event: OutboxEvent) -> ListenerEvent:
    if event.feedback is not None:
        return _feedback_event(event.feedback, taken_back=event.kind == Kind.RETRACTION)
    return _slate_event(event.recommendation)


def _feedback_event(feedback: Feedback, *, taken_back: bool) -> ListenerEvent:
    return ListenerEvent(
        event_key=f"feedback:{feedback.pk}",
        listener_id=feedback.listener_id,
        kind="feedback",
        at=feedback.occurred_at,
        received_at=feedback.received_at,
        retracted_at=feedback.retraction.retracted_at if taken_back else None,
        values={
            "kind": feedback.kind,
            "rating": feedback.rating,
            "completion": feedback.completion,
            "preference": feedback.preference,
            "track_artist_id": feedback.track.artist_id,
            "slate_id": str(feedback.recommendation_id) if feedback.recommendation_id else None,
        },
    )


def _slate_event(slate: Recommendation) -> ListenerEvent:
    return ListenerEvent(
        event_key=f"slate:{slate.pk}",
        listener_id=slate.listener_id,
        kind="slate",
        at=slate.created_at,
        values={
            "latency_ms": slate.latency_ms,
            "fallback": slate.strategy != slate.chosen_strategy,
            "slate_id": str(slate.pk),
        },
    )


def revive(keys: Sequence[int] | None, *, at: datetime) -> int:
    """Let events that failed too often be tried again; all of them where `keys` is None.

    Returns:
        How many there were; one that was closed or revived meanwhile is not among them.
    """
    dead = OutboxEvent.objects.dead()
    if keys is not None:
        dead = dead.filter(pk__in=keys)
    return dead.update(attempts=0, due_at=at)
