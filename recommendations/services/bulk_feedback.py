"""Taking many responses at once: each row by itself, in a few statements for all of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction
from psycopg2.extras import Json, execute_values

from accounts.models import Listener, ServiceAccount
from recommendations.core.history import History
from recommendations.core.preference import EXPLICIT_KINDS, preference_of
from recommendations.models import Feedback, Recommendation, Taste, Track
from recommendations.services import hiding, undo
from recommendations.services import taste as tastes
from recommendations.services.imports.reading import copy_rows, create_stage

MAX_ROWS = 10_000

_Said = tuple[int, str, int | None, float | None]
"""Track, kind, rating and completion, in which a repeat is equal (`feedback.WHAT_IS_SAID`)."""


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


class _Fresh(NamedTuple):
    """A response that is new: what its row in the table will hold."""

    event_id: str
    listener_id: int
    track_id: int
    kind: str
    rating: int | None
    completion: float | None
    preference: float
    recommendation_id: uuid.UUID | None
    position: int | None
    strategy: str
    propensity: float | None
    context: Mapping[str, str]
    occurred_at: datetime


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
        names = {row.user_id for row in responses}
        listeners = _listeners(service, names)
        if not _lock(listeners.values()):  # one was erased in between, and begins anew
            listeners = _listeners(service, names)
        locked = _lock_tastes(listeners.values())
        tracks = Track.objects.in_bulk({row.track_id for row in responses}, field_name="track_id")
        slates = _slates(responses, listeners)
        known = _known_events(responses, listeners)
        fresh: list[_Fresh] = []
        for row in responses:
            outcome, new = _take(row, listeners, tracks, slates, known, at)
            outcomes.append(outcome)
            if new is not None:
                fresh.append(new)
        replaced = _take_back_older(fresh, at) if overwrite and fresh else set()
        if fresh:
            _insert(fresh, at)
            _hide(fresh, at)
            _learn(fresh, locked, tracks, replaced, at)
    again = {new.event_id for new in fresh if (new.listener_id, new.track_id, new.kind) in replaced}
    return [
        Outcome(o.place, "replaced", o.event_id)
        if o.status == "recorded" and o.event_id in again
        else o
        for o in outcomes
    ]


# What a row owes is written in the statement that writes the row.
_INSERT = """
WITH written AS (
    INSERT INTO recommendations_feedback
        (event_id, listener_id, track_id, kind, rating, completion, preference,
         recommendation_id, position, strategy, propensity, context, occurred_at, received_at)
    SELECT event_id, listener_id, track_id, kind, rating, completion, preference,
           recommendation_id, position, strategy, propensity, context, occurred_at, %s
    FROM stage ORDER BY line
    RETURNING id
)
INSERT INTO recommendations_outboxevent
    (kind, feedback_id, created_at, due_at, attempts, last_error)
SELECT 'feedback', id, %s, %s, 0, '' FROM written ORDER BY id
"""
_STAGE = (
    "line integer, event_id text, listener_id bigint, track_id bigint, kind text, rating smallint, "
    "completion float8, preference float8, recommendation_id uuid, position smallint, "
    "strategy text, propensity float8, context jsonb, occurred_at timestamptz"
)
_COLUMNS = ("line", *_Fresh._fields)


def _insert(fresh: Sequence[_Fresh], at: datetime) -> None:
    with connection.cursor() as cursor:
        create_stage(cursor, _STAGE)
        rows = (
            (line, *new._replace(context=json.dumps(new.context) if new.context else "{}"))
            for line, new in enumerate(fresh)
        )
        copy_rows(cursor, "stage", _COLUMNS, rows)
        cursor.execute(_INSERT, [at, at, at])


def _hide(fresh: Sequence[_Fresh], at: datetime) -> None:
    """Hide the tracks of the responses that say so."""
    named = [new for new in fresh if new.kind == Feedback.Kind.HIDE]
    if not named:
        return
    rows = Feedback.objects.filter(
        listener__in={new.listener_id for new in named},
        event_id__in=[new.event_id for new in named],
        kind=Feedback.Kind.HIDE,
    )
    for feedback in rows.select_related("listener", "track").order_by("pk"):
        hiding.hide_by_response(feedback, at=at)


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


def _lock(listeners: Iterable[Listener]) -> bool:
    """Lock listeners in one order, before their tastes; return whether all are still there.

    A taste that does not exist cannot be locked, so the listener is: `lock_taste` takes the same
    lock, and a taste is never built without the rows of a transaction under way.
    """
    keys = [listener.pk for listener in listeners]
    locked = Listener.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
    return len(locked.values_list("pk")) == len(keys)


def _lock_tastes(listeners: Iterable[Listener]) -> dict[int, Taste]:
    """Lock the tastes that exist, in one order, and return them by listener."""
    keys = [listener.pk for listener in listeners]
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
) -> dict[tuple[int, str], _Said]:
    """Return what the events say that are kept already."""
    named = [
        (listeners[row.user_id].pk, row.event_id) for row in responses if row.event_id is not None
    ]
    if not named:
        return {}
    owners, names = zip(*named, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT named.listener_id, named.event_id, f.track_id, f.kind, f.rating, f.completion
            FROM unnest(%s::bigint[], %s::text[]) AS named(listener_id, event_id)
            -- By the index, row by row: a join would be planned to read the whole table.
            CROSS JOIN LATERAL (
                SELECT track_id, kind, rating, completion FROM recommendations_feedback
                WHERE listener_id = named.listener_id AND event_id = named.event_id LIMIT 1
            ) f
            """,
            [list(owners), list(names)],
        )
        return {(owner, name): tuple(said) for owner, name, *said in cursor}


def _take(
    row: Response,
    listeners: Mapping[str, Listener],
    tracks: Mapping[str, Track],
    slates: Mapping[tuple[int, uuid.UUID], Recommendation],
    known: dict[tuple[int, str], _Said],
    at: datetime,
) -> tuple[Outcome, _Fresh | None]:
    """Return what becomes of a row, and what to write where it is new."""

    def refused(code: str, detail: str) -> tuple[Outcome, None]:
        return Outcome(row.place, "refused", None, code, detail), None

    track = tracks.get(row.track_id)
    if track is None:
        return refused("unknown_track", f"There is no track {row.track_id!r}.")
    listener = listeners[row.user_id]
    event_id = row.event_id or str(uuid.uuid4())
    said = (track.pk, row.kind, row.rating, row.completion)
    before = known.get((listener.pk, event_id))
    if before is not None:
        if before != said:
            return refused("event_id_reused", f"{event_id!r} was used for another response.")
        return Outcome(row.place, "duplicate", event_id), None
    slate, position = None, None
    if row.recommendation_id is not None:
        slate = slates.get((listener.pk, row.recommendation_id))
        if slate is None:
            return refused("unknown_recommendation", "The listener has no such recommendation.")
        if track.pk not in slate.tracks:
            return refused("not_on_slate", "The track is not on the recommendation.")
        position = slate.tracks.index(track.pk)
    known[listener.pk, event_id] = said
    return Outcome(row.place, "recorded", event_id), _Fresh(
        event_id=event_id,
        listener_id=listener.pk,
        track_id=track.pk,
        kind=row.kind,
        rating=row.rating,
        completion=row.completion,
        preference=preference_of(row.kind, rating=row.rating, completion=row.completion),
        recommendation_id=row.recommendation_id,
        position=position,
        strategy=slate.strategy if slate else "",
        propensity=slate.propensity if slate else None,
        context=row.context,
        occurred_at=min(row.occurred_at or at, at),
    )


def _take_back_older(fresh: Sequence[_Fresh], at: datetime) -> set[tuple[int, int, str]]:
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
    fresh: Sequence[_Fresh],
    locked: Mapping[int, Taste],
    tracks: Mapping[str, Track],
    replaced: set[tuple[int, int, str]],
    at: datetime,
) -> None:
    """Bring the tastes that exist up to the new responses; others are built when first read."""
    if replaced:  # taking back has made or written these tastes since they were read
        again = Taste.objects.in_bulk({listener for listener, _, _ in replaced})
        locked = {**locked, **again}
    durations = {track.pk: track.duration_ms for track in tracks.values()}
    by_listener: dict[int, list[_Fresh]] = {}
    for new in fresh:
        if new.listener_id in locked:
            by_listener.setdefault(new.listener_id, []).append(new)
    for listener_id, rows in by_listener.items():
        taste = locked[listener_id]
        session = tastes.session_of(taste)
        for new in rows:
            minutes = tastes.minutes_heard(new.kind, new.completion, durations[new.track_id])
            moment = new.occurred_at.timestamp()
            session = session.respond(new.preference, moment, minutes=minutes)
            taste.n_feedback += 1
            taste.preference_sum += new.preference
            taste.n_plays += new.kind == Feedback.Kind.PLAY
            taste.n_skips += new.kind == Feedback.Kind.SKIP
        history = History.from_bytes(taste.history).replay(map(_in_history, rows))
        taste.history, taste.session = history.to_bytes(), asdict(session)
        taste.last_seen_at = at
        if any(new.kind == Feedback.Kind.HIDE for new in rows):
            taste.hidden = tastes.hidden_of(taste.listener)
    _save([locked[listener_id] for listener_id in by_listener])


def _in_history(new: _Fresh) -> tuple[int, float, float, int | None, bool]:
    """Return what a history takes of a response."""
    moment = new.occurred_at.timestamp()
    return new.track_id, new.preference, moment, new.rating, new.kind in EXPLICIT_KINDS


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
