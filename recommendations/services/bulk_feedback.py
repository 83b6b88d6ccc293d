"""Taking many responses at once: each row by itself, in a few statements for all of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from django.db import connection, transaction
from psycopg2.extras import Json, execute_values

from accounts.models import Listener, ServiceAccount
from recommendations.core.history import History
from recommendations.core.preference import EXPLICIT_KINDS, preference_of
from recommendations.models import Feedback, OutboxEvent, Recommendation, Taste, Track
from recommendations.services import hiding, undo
from recommendations.services import taste as tastes

MAX_ROWS = 10_000


@dataclass(frozen=True)
class Response:
    """One checked row.

    Attributes:
        place: in what was sent, from 0.
        user_id: the service's name of its listener.
    """

    place: int
    user_id: str
    track_id: str
    kind: str
    rating: int | None = None
    completion: float | None = None
    recommendation_id: uuid.UUID | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    event_id: str | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a row.

    Attributes:
        place: of the row, from 0.
        status: recorded, duplicate, replaced or refused.
        event_id: under which it is kept, or None where it was refused.
        code: why it was refused, stable, or None.
        detail: the same in words, or None.
    """

    place: int
    status: str
    event_id: str | None = None
    code: str | None = None
    detail: str | None = None


def record_many(
    responses: Sequence[Response], *, service: ServiceAccount, at: datetime, overwrite: bool = False
) -> list[Outcome]:
    """Record responses of a service's listeners in one transaction; each row for itself.

    Listeners that are new are made.  A row whose event id is known already counts once, also
    within one call.  What a taste was folded from changes, so it is folded again at the listener's
    next request, not here.

    Args:
        responses: in the order in which they happened, where their times do not say.
        service: whose listeners they name.
        at: now.
        overwrite: take back what the listener said before of the same track in the same kind, so
            that only the new row counts; otherwise it counts beside the older ones.

    Returns:
        An outcome per row, in the order of the rows.
    """
    outcomes: list[Outcome] = []
    with transaction.atomic():
        listeners = _listeners(service, {row.user_id for row in responses})
        locked = _lock(listeners.values())
        tracks = Track.objects.in_bulk({row.track_id for row in responses}, field_name="track_id")
        slates = _slates(responses, listeners)
        known = _known_events(responses, listeners)
        fresh: list[Feedback] = []
        for row in responses:
            outcome, feedback = _take(row, listeners, tracks, slates, known, at)
            outcomes.append(outcome)
            if feedback is not None:
                fresh.append(feedback)
        replaced = _take_back_older(fresh, at) if overwrite and fresh else set()
        Feedback.objects.bulk_create(fresh, batch_size=2000)
        for feedback in fresh:
            if feedback.kind == Feedback.Kind.HIDE:
                hiding.hide_by_response(feedback, at=at)
        _learn(fresh, locked, tracks, replaced)
        OutboxEvent.objects.bulk_create(
            (
                OutboxEvent(
                    kind=OutboxEvent.Kind.FEEDBACK, feedback=feedback, created_at=at, due_at=at
                )
                for feedback in fresh
            ),
            batch_size=2000,
        )
    again = {
        feedback.event_id for feedback in fresh if (feedback.listener_id, feedback.track_id,
        feedback.kind) in replaced
    }  # fmt: skip
    return [
        Outcome(o.place, "replaced", o.event_id)
        if o.status == "recorded" and o.event_id in again
        else o
        for o in outcomes
    ]


def _listeners(service: ServiceAccount, user_ids: set[str]) -> dict[str, Listener]:
    """Return the service's listeners by external id; those that are new are made."""
    own = Listener.objects.of_service(service).select_related("preferences")
    found = {row.external_id: row for row in own.filter(external_id__in=user_ids)}
    missing = sorted(user_ids - found.keys())
    if missing:
        Listener.objects.bulk_create(
            (Listener(service=service, external_id=name) for name in missing),
            ignore_conflicts=True,
        )
        found |= {row.external_id: row for row in own.filter(external_id__in=missing)}
    return {str(name): listener for name, listener in found.items()}


def _lock(listeners: Iterable[Listener]) -> dict[int, Taste]:
    """Lock listeners, then their tastes, each in one order; return the tastes that exist.

    A taste that does not exist cannot be locked, so the listener is: `create_taste` takes the same
    lock, and a taste is never built without the rows of a transaction under way.
    """
    keys = sorted(listener.pk for listener in listeners)
    locked = Listener.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
    list(locked.values_list("pk"))
    rows = Taste.objects.select_for_update().filter(listener__in=keys).order_by("pk")
    return {taste.listener_id: taste for taste in rows}


def _slates(
    responses: Sequence[Response], listeners: Mapping[str, Listener]
) -> dict[tuple[int, uuid.UUID], Recommendation]:
    wanted = {row.recommendation_id for row in responses if row.recommendation_id}
    if not wanted:
        return {}
    slates = Recommendation.objects.filter(
        pk__in=wanted, listener__in=[listener.pk for listener in listeners.values()]
    )
    return {(slate.listener_id, slate.pk): slate for slate in slates}


def _known_events(
    responses: Sequence[Response], listeners: Mapping[str, Listener]
) -> dict[tuple[int, str], tuple[int, str, int | None]]:
    """Return track, kind and rating of the events that are kept already."""
    named = [
        (listeners[row.user_id].pk, row.event_id) for row in responses if row.event_id is not None
    ]
    if not named:
        return {}
    owners, names = zip(*named, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT f.listener_id, f.event_id, f.track_id, f.kind, f.rating
            FROM unnest(%s::bigint[], %s::text[]) AS named(listener_id, event_id)
            JOIN recommendations_feedback f USING (listener_id, event_id)
            """,
            [list(owners), list(names)],
        )
        return {(owner, name): (track, kind, rating) for owner, name, track, kind, rating in cursor}


def _take(
    row: Response,
    listeners: Mapping[str, Listener],
    tracks: Mapping[str, Track],
    slates: Mapping[tuple[int, uuid.UUID], Recommendation],
    known: dict[tuple[int, str], tuple[int, str, int | None]],
    at: datetime,
) -> tuple[Outcome, Feedback | None]:
    """Return what becomes of a row, and the feedback to write where it is new."""

    def refused(code: str, detail: str) -> tuple[Outcome, None]:
        return Outcome(row.place, "refused", None, code, detail), None

    track = tracks.get(row.track_id)
    if track is None:
        return refused("unknown_track", f"There is no track {row.track_id!r}.")
    listener = listeners[row.user_id]
    event_id = row.event_id or str(uuid.uuid4())
    said = (track.pk, row.kind, row.rating)
    before = known.get((listener.pk, event_id))
    if before is not None:
        if before != said:
            return refused("event_id_reused", f"{event_id!r} was used for another response.")
        return Outcome(row.place, "duplicate", event_id), None
    feedback = Feedback(
        event_id=event_id,
        listener=listener,
        track=track,
        kind=row.kind,
        rating=row.rating,
        completion=row.completion,
        preference=preference_of(row.kind, rating=row.rating, completion=row.completion),
        context=dict(row.context),
        occurred_at=min(row.occurred_at or at, at),
        received_at=at,
    )
    if row.recommendation_id is not None:
        slate = slates.get((listener.pk, row.recommendation_id))
        if slate is None:
            return refused("unknown_recommendation", "The listener has no such recommendation.")
        if track.pk not in slate.tracks:
            return refused("not_on_slate", "The track is not on the recommendation.")
        feedback.recommendation = slate
        feedback.position = slate.tracks.index(track.pk)
        feedback.strategy = slate.strategy
        feedback.propensity = slate.propensity
    known[listener.pk, event_id] = said
    return Outcome(row.place, "recorded", event_id), feedback


def _take_back_older(fresh: Sequence[Feedback], at: datetime) -> set[tuple[int, int, str]]:
    """Take back what listeners said before of the same tracks; return of whom, what and how."""
    keys = {(row.listener_id, row.track_id, row.kind) for row in fresh}
    owners, tracks, kinds = zip(*keys, strict=True)
    older = Feedback.objects.raw(
        """
        SELECT f.* FROM recommendations_feedback f
        JOIN unnest(%s::bigint[], %s::bigint[], %s::text[]) AS said(listener_id, track_id, kind)
          USING (listener_id, track_id, kind)
        WHERE NOT EXISTS (SELECT FROM recommendations_retraction r WHERE r.feedback_id = f.id)
        ORDER BY f.id
        """,
        [list(owners), list(tracks), list(kinds)],
    )
    replaced = set()
    for row in older:
        undo.retract(row, at=at)
        replaced.add((row.listener_id, row.track_id, row.kind))
    return replaced


def _learn(
    fresh: Sequence[Feedback],
    locked: Mapping[int, Taste],
    tracks: Mapping[str, Track],
    replaced: set[tuple[int, int, str]],
) -> None:
    """Bring the tastes that exist up to the new responses; others are built when first read."""
    if replaced:  # taking back has made or written these tastes since they were read
        again = Taste.objects.in_bulk({listener for listener, _, _ in replaced})
        locked = {**locked, **again}
    durations = {track.pk: track.duration_ms for track in tracks.values()}
    by_listener: dict[int, list[Feedback]] = {}
    for row in fresh:
        if row.listener_id in locked:
            by_listener.setdefault(row.listener_id, []).append(row)
    for listener_id, rows in by_listener.items():
        taste = locked[listener_id]
        history, session = History.from_bytes(taste.history), tastes.session_of(taste)
        for row in rows:
            moment = row.occurred_at.timestamp()
            history = history.respond(
                row.track_id,
                row.preference,
                moment,
                rating=row.rating,
                explicit=row.kind in EXPLICIT_KINDS,
            )
            minutes = tastes.minutes_heard(row.kind, row.completion, durations[row.track_id])
            session = session.respond(row.preference, moment, minutes=minutes)
            taste.n_feedback += 1
            taste.preference_sum += row.preference
            taste.n_plays += row.kind == Feedback.Kind.PLAY
            taste.n_skips += row.kind == Feedback.Kind.SKIP
            taste.last_seen_at = row.received_at
        taste.history, taste.session = history.to_bytes(), asdict(session)
        if any(row.kind == Feedback.Kind.HIDE for row in rows):
            taste.hidden = tastes.hidden_of(rows[0].listener)
    _save([locked[listener_id] for listener_id in by_listener])


# The embedding is dropped: the listener's next request folds it again.
_SAVE = """
UPDATE recommendations_taste t
SET history = new.history, session = new.session, hidden = new.hidden,
    n_feedback = new.n_feedback, preference_sum = new.preference_sum,
    n_plays = new.n_plays, n_skips = new.n_skips, last_seen_at = new.last_seen_at,
    vector = '', model_version_id = NULL, updated_at = new.last_seen_at
FROM (VALUES %s) AS new(listener_id, history, session, hidden, n_feedback, preference_sum,
                        n_plays, n_skips, last_seen_at)
WHERE t.listener_id = new.listener_id
"""


def _save(changed: Sequence[Taste]) -> None:
    rows = [
        (
            taste.listener_id,
            taste.history,
            Json(taste.session),
            Json(taste.hidden),
            taste.n_feedback,
            taste.preference_sum,
            taste.n_plays,
            taste.n_skips,
            taste.last_seen_at,
        )
        for taste in changed
    ]
    template = "(%s, %s, %s::jsonb, %s::jsonb, %s, %s, %s, %s, %s)"
    if rows:
        with connection.cursor() as cursor:
            execute_values(cursor.cursor, _SAVE, rows, template=template, page_size=500)
