"""What is known of a listener, in one row, kept up inside the transaction of each response."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from django.db import transaction
from django.db.models import OuterRef
from numpy.typing import NDArray

from accounts.models import ApiToken, Listener, Preferences, valid_token
from accounts.vocabulary import Mood
from experiments.services import Standing, standing_columns, standing_of
from musicrec.exceptions import RuleViolation
from musicrec.prepared import Parameter, PreparedRow
from recommendations.core.content import StatedTaste
from recommendations.core.history import CAPACITY, History, Response
from recommendations.core.interactions import preference_from_plays
from recommendations.core.preference import EXPLICIT_KINDS
from recommendations.core.visits import Session
from recommendations.models import Feedback, Hidden, PlayCount, Taste
from recommendations.serving.loaded import LoadedModel
from recommendations.serving.portraits import with_named_artists
from recommendations.serving.state import Stage

REBUILT_FIELDS = (
    "history",
    "hidden",
    "n_feedback",
    "preference_sum",
    "n_plays",
    "n_skips",
    "last_seen_at",
    "session",
)
"""Fields of a taste that follow from feedback, play counts and hidden tracks alone."""


class ListenerGone(RuleViolation):
    """The listener is not there any more: erased, or a visitor who has just signed in."""

    code = "listener_gone"


class Known(NamedTuple):
    """What one query has read of a listener; the standing is theirs in experiments, if it came."""

    taste: Taste
    standing: Standing | None


_TASTE = PreparedRow(
    lambda: Taste.objects.filter(listener_id=Parameter("listener")()).annotate(
        **standing_columns(OuterRef("listener_id"))
    )
)
_LOCKED_TASTE = PreparedRow(
    lambda: Taste.objects.select_for_update().filter(listener_id=Parameter("listener")())
)
TOKEN_READ = PreparedRow(
    lambda: (
        valid_token()
        .select_related("user__listener__preferences", "user__listener__taste")
        .annotate(**standing_columns(OuterRef("user__listener__id")))
    )
)
"""Reads a token with what is known of its listener; see `read_along`."""


def read_taste(listener: Listener) -> Taste:
    """Return the listener's taste; one query, or a few where it has to be built first."""
    return read_known(listener).taste


def read_known(listener: Listener) -> Known:
    """Return what is known of a listener; one query, or a few where it has to be built first."""
    taste = _TASTE.get(listener=listener.pk)
    if taste is None:
        return Known(_create_taste(listener), None)
    return Known(taste, standing_of(taste))


def read_along(token: Any, listener: Listener) -> Known | None:
    """Return what `TOKEN_READ` has read along with a token of the listener's; None if it has not.

    Args:
        token: what a request was authenticated by, whatever it is.
        listener: who asks.
    """
    if not isinstance(token, ApiToken) or not Listener.taste.is_cached(listener):
        return None
    taste = getattr(listener, "taste", None)  # one that was never built is known to be missing
    return None if taste is None else Known(taste, standing_of(token))


def lock_taste(listener: Listener) -> Taste:
    """Return the listener's taste, locked until the transaction ends."""
    taste = _LOCKED_TASTE.get(listener=listener.pk)
    if taste is None:
        _create_taste(listener)
        taste = Taste.objects.select_for_update().get(listener=listener)
    return taste


def _create_taste(listener: Listener) -> Taste:
    with transaction.atomic():
        # Whoever writes many responses at once holds this lock: what is built knows all of them.
        locked = Listener.objects.select_for_update(no_key=True).filter(pk=listener.pk)
        if not list(locked.values("pk")):
            raise ListenerGone("This listener was erased while the request was under way.")
        # Two requests may build it at once; the second finds the first one's row.
        Taste.objects.bulk_create([build_taste(listener)], ignore_conflicts=True)
    return Taste.objects.get(listener=listener)


def build_taste(listener: Listener, *, until: datetime | None = None) -> Taste:
    """Return a taste, not saved, made of everything the listener did here and did not take back.

    With `until`, of what they had done before that time.

    Responses are replayed in the order in which they arrived, so that this is the very taste that
    taking them one by one has left, to the last bit; only the embedding is still to be folded.
    """
    totals = _Totals()
    rows = (
        Feedback.objects.by(listener)
        .standing()
        .order_by("pk")
        .values_list(
            "track_id",
            "preference",
            "occurred_at",
            "rating",
            "kind",
            "completion",
            "track__duration_ms",
            "received_at",
        )
    )
    if until is not None:
        rows = rows.filter(received_at__lt=until)
    history = _imported_history(listener).replay(map(totals.add, rows.iterator(chunk_size=5000)))
    return Taste(
        listener=listener,
        history=history.to_bytes(),
        hidden=hidden_of(listener),
        n_feedback=totals.n_feedback,
        preference_sum=totals.preference_sum,
        n_plays=totals.n_plays,
        n_skips=totals.n_skips,
        last_seen_at=totals.last_seen_at,
        session=asdict(totals.session) if totals.n_feedback else {},
    )


def rebuild_taste(taste: Taste, listener: Listener, stage: Stage) -> None:
    """Make a locked taste anew of what remains of a listener's responses, and save it."""
    fresh = build_taste(listener)
    for name in REBUILT_FIELDS:
        setattr(taste, name, getattr(fresh, name))
    preferences = getattr(listener, "preferences", None)
    vector = fold(History.from_bytes(taste.history), stage, preferences)
    remember(taste, vector, stage, preferences)
    taste.save(force_update=True)


@dataclass
class _Totals:
    """Counts and session over a listener's responses, in the order of arrival."""

    n_feedback: int = 0
    preference_sum: float = 0.0
    n_plays: int = 0
    n_skips: int = 0
    last_seen_at: datetime | None = None
    session: Session = field(default_factory=Session)

    def add(self, row: tuple) -> Response:
        """Count one response and return what a history takes of it."""
        track, preference, moment, rating, kind, completion, duration_ms, received = row
        at = moment.timestamp()
        self.n_feedback += 1
        self.preference_sum += preference
        self.n_plays += kind == Feedback.Kind.PLAY
        self.n_skips += kind == Feedback.Kind.SKIP
        self.last_seen_at = received
        minutes = minutes_heard(kind, completion, duration_ms)
        self.session = self.session.respond(preference, at, minutes=minutes)
        return track, preference, at, rating, kind in EXPLICIT_KINDS


def minutes_heard(kind: str, completion: float | None, duration_ms: int | None) -> float:
    """Return the minutes of music that a response stands for: those of a play."""
    if kind != Feedback.Kind.PLAY:
        return 0.0
    return (1.0 if completion is None else completion) * (duration_ms or 0) / 60_000


def _imported_history(listener: Listener) -> History:
    counts = list(
        PlayCount.objects.filter(listener=listener)
        .order_by("-plays", "track_id")
        .values_list("track_id", "plays", "imported_at")[:CAPACITY]
    )
    if not counts:
        return History.empty()
    tracks, plays, imported = zip(*counts, strict=True)
    plays_array = np.array(plays, np.int64)
    preferences = preference_from_plays(np.zeros(len(plays), np.int32), plays_array)
    heard = np.array([at.timestamp() for at in imported])
    return History.build(np.array(tracks, np.int64), preferences, heard)


def hidden_of(listener: Listener) -> dict[str, dict[str, float | None]]:
    """Return what the listener hides: primary keys and the epoch seconds of their end, if any."""
    hidden: dict[str, dict[str, float | None]] = {"tracks": {}, "artists": {}}
    for row in Hidden.objects.filter(listener=listener):
        until = row.until.timestamp() if row.until else None
        if row.track_id:
            hidden["tracks"][str(row.track_id)] = until
        else:
            hidden["artists"][str(row.artist_id)] = until
    return hidden


def stated_taste(
    preferences: Preferences | None, *, mood: tuple[float, float] | None = None
) -> StatedTaste:
    """Return what a listener says they like; a request's mood (valence, arousal) comes first."""
    if preferences is None:
        return StatedTaste(mood=mood)
    if mood is None and preferences.mood:
        chosen = Mood(preferences.mood)
        mood = (chosen.valence, chosen.arousal)
    return StatedTaste(tuple(preferences.genres), preferences.energy, mood)


def named_artists(preferences: Preferences | None) -> tuple[str, ...]:
    """Return the artists whom a listener names."""
    return () if preferences is None else tuple(preferences.artists)


def fold(
    history: History, stage: Stage, preferences: Preferences | None
) -> NDArray[np.float32] | None:
    """Return the listener's embedding, tracks held fixed; None without a model."""
    if stage.loaded is None:
        return None
    stated = stated_taste(preferences)
    history = with_named_artists(history, named_artists(preferences), stage.catalogue)
    rows = model_rows(history, stage.loaded, stage)
    known = rows >= 0
    return stage.loaded.model.fold_in(rows[known], history.preferences[known], stated)


def model_rows(history: History, loaded: LoadedModel, stage: Stage) -> NDArray[np.intp]:
    """Return the row in the model of each track of a history, -1 where it has none."""
    return loaded.rows_in_model(stage.catalogue.rows_of(history.tracks))


def session_of(taste: Taste) -> Session:
    """Return the session the taste holds."""
    return Session(**taste.session) if taste.session else Session()


def remember(
    taste: Taste,
    vector: NDArray[np.float32] | None,
    stage: Stage,
    preferences: Preferences | None,
) -> None:
    """Put a folded embedding into a taste, not saved."""
    taste.stated_at = preferences.updated_at if preferences else None
    taste.vector = b"" if vector is None else vector.astype("<f4").tobytes()
    taste.model_version_id = stage.loaded.version if stage.loaded and vector is not None else None


def is_folded(taste: Taste, stage: Stage, preferences: Preferences | None) -> bool:
    """Return whether a taste's embedding is for the model and the preferences of now."""
    return bool(
        stage.loaded
        and taste.vector
        and taste.model_version_id == stage.loaded.version
        and taste.stated_at == (preferences.updated_at if preferences else None)
    )


def folded_vector(taste: Taste, stage: Stage, preferences: Preferences | None) -> bytes:
    """Return a taste's embedding for the model that serves, empty without one.

    Folded again, and kept, where model or preferences are others than those it was folded for.
    """
    if not is_folded(taste, stage, preferences):
        vector = fold(History.from_bytes(taste.history), stage, preferences)
        if vector is None:
            return b""
        seen = taste.updated_at
        remember(taste, vector, stage, preferences)
        if seen is not None:  # one that was built to be looked at is not kept
            # Not if a response has come in between: it has folded the taste itself.
            Taste.objects.filter(pk=taste.pk, updated_at=seen).update(
                vector=taste.vector,
                model_version=taste.model_version_id,
                stated_at=taste.stated_at,
            )
    return bytes(taste.vector)
