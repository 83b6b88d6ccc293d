"""Taking a response: one transaction, after which the next list is another."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import IntegrityError, router, transaction

from accounts.models import Listener
from musicrec.exceptions import RuleViolation
from musicrec.metrics import RESPONSES
from musicrec.prepared import write_together
from recommendations.core.history import History
from recommendations.core.preference import EXPLICIT_KINDS, preference_of
from recommendations.models import Feedback, OutboxEvent, Recommendation, Taste, Track
from recommendations.services import hiding
from recommendations.services import taste as tastes
from recommendations.serving import state


class EventIdReused(RuleViolation):
    """The event id belongs to another response of this listener."""

    code = "event_id_reused"


class NotOnSlate(RuleViolation):
    """The track was not on the slate that the response names."""

    code = "not_on_slate"


class TrackGone(RuleViolation):
    """The track was deleted while the request was under way."""

    code = "track_gone"


WHAT_IS_SAID = ("track_id", "kind", "rating", "completion")
"""Fields in which a repeat of a response is equal to it."""


def track_named(track_id: str) -> Track | None:
    """Return the track of this id, None where there is none.

    An active one needs no query: what a response needs of it is in memory, and what else it has
    is read when it is asked for.
    """
    catalogue = state.current().catalogue
    row = catalogue.row_of_track_id.get(track_id)
    if row is None:
        return Track.objects.filter(track_id=track_id).first()
    known = {
        "id": int(catalogue.pks[row]),
        "track_id": track_id,
        "duration_ms": catalogue.facts[row].duration_ms,
    }
    return Track.from_db(router.db_for_read(Track), list(known), list(known.values()))


def record_feedback(
    *,
    listener: Listener,
    track: Track,
    kind: str,
    at: datetime,
    rating: int | None = None,
    completion: float | None = None,
    recommendation: Recommendation | None = None,
    context: dict[str, Any] | None = None,
    event_id: str | None = None,
    occurred_at: datetime | None = None,
) -> tuple[Feedback, bool]:
    """Record one response, with its effect on the listener's taste and what it still owes.

    Args:
        listener: who responded.
        track: to what.
        kind: one of `Feedback.Kind`.
        at: now.
        rating: 1 to 5, for a rating.
        completion: share of the track heard, 0 to 1.
        recommendation: the listener's own slate that showed the track.
        context: mood, device and the like, kept as given.
        event_id: the client's name for the response; one that was seen is not counted again.
        occurred_at: when it happened, where that was earlier than `at`.

    Returns:
        The row, and whether it is new.

    Raises:
        EventIdReused: `event_id` names a different response.
        NotOnSlate: `track` is not on `recommendation`.
        TrackGone: `track` is not in the catalogue any more.
    """
    event_id = event_id or str(uuid.uuid4())
    feedback = Feedback(
        event_id=event_id,
        listener=listener,
        track=track,
        kind=kind,
        rating=rating,
        completion=completion,
        preference=preference_of(kind, rating=rating, completion=completion),
        context=context or {},
        occurred_at=min(occurred_at or at, at),
        received_at=at,
    )
    if recommendation is not None:
        _credit(feedback, recommendation)
    try:
        _take(feedback, state.current(), at=at)
    except IntegrityError:
        before = Feedback.objects.filter(listener=listener, event_id=event_id).first()
        if before is None:
            if not Track.objects.filter(pk=track.pk).exists():
                raise TrackGone(f"There is no track {track.track_id!r} any more.") from None
            raise
        if any(getattr(before, name) != getattr(feedback, name) for name in WHAT_IS_SAID):
            raise EventIdReused(
                f"The event id {event_id!r} was used for another response."
            ) from None
        return before, False
    RESPONSES.labels(kind).inc()
    return feedback, True


@transaction.atomic
def _take(feedback: Feedback, stage: state.Stage, *, at: datetime) -> None:
    """Write a response down with all that follows from it, all or nothing.

    Raises:
        IntegrityError: its listener has said something under its event id before.
    """
    taste = tastes.lock_taste(feedback.listener)  # one response of a listener after another
    _learn(taste, feedback, feedback.track, stage)
    effect = OutboxEvent(
        kind=OutboxEvent.Kind.FEEDBACK, feedback=feedback, created_at=at, due_at=at
    )
    write_together([feedback], [effect], updated=[taste])
    if feedback.kind == Feedback.Kind.HIDE:
        hiding.hide_by_response(feedback, at=at)
        hiding.keep_in_taste(taste, feedback.listener)


def _credit(feedback: Feedback, recommendation: Recommendation) -> None:
    """Note on a response what its slate says of the track."""
    if feedback.track_id not in recommendation.tracks:
        raise NotOnSlate(f"The track is not on the recommendation {recommendation.pk}.")
    feedback.recommendation = recommendation
    feedback.position = recommendation.tracks.index(feedback.track_id)
    feedback.strategy = recommendation.strategy
    feedback.propensity = recommendation.propensity


def _learn(taste: Taste, feedback: Feedback, track: Track, stage: state.Stage) -> None:
    """Bring a taste up to a response, not saved."""
    moment = feedback.occurred_at.timestamp()
    history = History.from_bytes(taste.history).respond(
        track.pk,
        feedback.preference,
        moment,
        rating=feedback.rating,
        explicit=feedback.kind in EXPLICIT_KINDS,
    )
    minutes = tastes.minutes_heard(feedback.kind, feedback.completion, track.duration_ms)
    session = tastes.session_of(taste).respond(feedback.preference, moment, minutes=minutes)
    taste.history = history.to_bytes()
    taste.session = asdict(session)
    taste.n_feedback += 1
    taste.preference_sum += feedback.preference
    taste.n_plays += feedback.kind == Feedback.Kind.PLAY
    taste.n_skips += feedback.kind == Feedback.Kind.SKIP
    taste.last_seen_at = feedback.received_at
    preferences = getattr(feedback.listener, "preferences", None)
    vector = tastes.fold(history, stage, preferences)
    tastes.remember(taste, vector, stage, preferences)
