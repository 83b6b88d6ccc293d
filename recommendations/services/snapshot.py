"""What a training learns from: one consistent picture of the database, as arrays."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from operator import itemgetter

import numpy as np
from django.db import connection, transaction
from django.db.models import Max, QuerySet
from numpy.typing import NDArray

from recommendations.core.content import ContentFeatures
from recommendations.core.interactions import Interactions, preference_from_plays
from recommendations.core.preference import EXPLICIT_KINDS
from recommendations.flood import weights_per_account
from recommendations.models import Feedback, PlayCount, ServingState
from recommendations.serving.catalogue import read_catalogue


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Catalogue and interactions as they stood at one moment.

    Attributes:
        track_pks: primary key of each track row, shape (n_tracks,), rising.
        listener_pks: primary key of each user row, shape (n_users,), rising.
        content: of the same tracks.
        interactions: each (listener, track) pair once; its time is when the pair first occurred.
        last_feedback: primary key of the newest feedback in it, 0 without one.
        n_feedback: feedback rows that went into it.
        n_play_counts: play counts that went into it.
    """

    track_pks: NDArray[np.int64]
    listener_pks: NDArray[np.int64]
    content: ContentFeatures
    interactions: Interactions
    last_feedback: int
    n_feedback: int
    n_play_counts: int

    def describe(self) -> dict[str, int]:
        """Return its sizes, for the run's row."""
        return {
            "listeners": len(self.listener_pks),
            "tracks": len(self.track_pks),
            "pairs": len(self.interactions),
            "feedback": self.n_feedback,
            "play_counts": self.n_play_counts,
            "last_feedback": self.last_feedback,
        }


SHARD_ROWS = 500_000
"""Rows of feedback and play counts that are held as Python objects at once, about 300 MB."""

CHUNK = 50_000
"""Rows that a cursor hands over at once."""


def take_snapshot(*, shard_rows: int = SHARD_ROWS) -> Snapshot:
    """Read all of it in one repeatable-read transaction, so that nothing is half there.

    Each table is read once, in the order of listeners, and cut into shards of whole listeners as
    it comes; each shard becomes arrays before the next one is there.  So time grows with the rows,
    and memory with the pairs (40 bytes each).

    Args:
        shard_rows: rows after which a shard ends with its listener; more where one has more.
    """
    parts: list[Pairs] = []
    n_play_counts = n_feedback = 0
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # Postgres plans a cursor for its first rows, unless it is told that all are wanted:
            # for those it would rather look up each row by an index than sort the table.
            cursor.execute("SET LOCAL cursor_tuple_fraction = 1")
        state = ServingState.objects.first()
        catalogue = read_catalogue(state.catalogue_version if state else 0)
        for counts, responses in in_shards(_counts(), _responses(), shard_rows=shard_rows):
            parts.append(merge(counts, responses))
            n_play_counts += len(counts)
            n_feedback += len(responses)
            del counts, responses  # before the rows of the next shard come
        last_feedback = Feedback.objects.aggregate(last=Max("pk"))["last"] or 0
    pairs = Pairs.together(parts)
    listener_pks, user_rows = np.unique(pairs.listeners, return_inverse=True)
    interactions = Interactions.build(
        user_rows,
        np.searchsorted(catalogue.pks, pairs.tracks),
        n_users=len(listener_pks),
        n_tracks=len(catalogue),
        preference=pairs.preferences,
        rating=pairs.ratings,
        time=pairs.times,
        weight=weights_per_account(user_rows),
    )
    return Snapshot(
        track_pks=catalogue.pks,
        listener_pks=listener_pks,
        content=catalogue.content,
        interactions=interactions,
        last_feedback=last_feedback,
        n_feedback=n_feedback,
        n_play_counts=n_play_counts,
    )


def _counts() -> QuerySet:
    return (
        PlayCount.objects.filter(track__is_active=True)
        .order_by("listener_id")
        .values_list("listener_id", "track_id", "plays", "imported_at")
    )


def _responses() -> QuerySet:
    return (
        Feedback.objects.of_listeners()
        .standing()
        .filter(track__is_active=True)
        .order_by("listener_id", "occurred_at", "pk")
        .values_list("listener_id", "track_id", "preference", "occurred_at", "rating", "kind")
    )


Shard = tuple[list[tuple], list[tuple]]
"""Play counts and responses of the same listeners."""


def in_shards(counts: QuerySet, responses: QuerySet, *, shard_rows: int) -> Iterator[Shard]:
    """Yield the rows of whole listeners, at least `shard_rows` together; one at least, the last.

    Ranges of listeners, a statement each, would go to every page of a table again for each of
    them: responses lie in the order of time, and a page holds those of a hundred listeners.

    Args:
        counts: rows that begin with the listener, in the order of listeners.
        responses: the same.
        shard_rows: rows after which a shard ends, with all that is left of its last listener.
    """
    shard: Shard = ([], [])
    last = None
    both = heapq.merge(_by_listener(counts, 0), _by_listener(responses, 1), key=itemgetter(0))
    for listener, table, rows in both:
        if listener != last and len(shard[0]) + len(shard[1]) >= shard_rows:
            yield shard
            shard = ([], [])
        shard[table].extend(rows)
        last = listener
    yield shard


def _by_listener(rows: QuerySet, table: int) -> Iterator[tuple[int, int, list[tuple]]]:
    for listener, own in groupby(rows.iterator(chunk_size=CHUNK), key=itemgetter(0)):
        yield listener, table, list(own)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Each (listener, track) once; all arrays of shape (n,)."""

    listeners: NDArray[np.int64]
    tracks: NDArray[np.int64]
    preferences: NDArray[np.float64]
    ratings: NDArray[np.float64]
    times: NDArray[np.float64]

    @classmethod
    def together(cls, shards: Iterable[Pairs]) -> Pairs:
        """Return the pairs of all shards, which have no listener in common."""
        columns = zip(*([getattr(s, f.name) for f in fields(cls)] for s in shards), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


def merge(counts: list[tuple], responses: list[tuple]) -> Pairs:
    """Make one pair of everything that a listener did with a track.

    The latest thing said counts; without one, the mean of what plays and skips show; without
    those, the rank of the imported play count.  `responses` are in order of time.
    """
    pairs: dict[tuple[int, int], list[float]] = {}  # preference, n implicit, rating, first time
    if counts:
        listeners, tracks, plays, imported = (
            np.array(column) for column in zip(*counts, strict=True)
        )
        preferences = preference_from_plays(listeners.astype(np.int64), plays.astype(np.int64))
        times = [moment.timestamp() for moment in imported]
        for key, preference, moment in zip(
            zip(listeners.tolist(), tracks.tolist(), strict=True),
            preferences.tolist(),
            times,
            strict=True,
        ):
            pairs[key] = [preference, 0.0, np.nan, moment]
    for listener, track, preference, moment, rating, kind in responses:
        pair = pairs.setdefault((listener, track), [0.5, 0.0, np.nan, moment.timestamp()])
        if kind in EXPLICIT_KINDS:
            pair[0], pair[1] = preference, -1.0  # from here on plays and skips say nothing new
            if rating is not None:
                pair[2] = rating
        elif pair[1] >= 0:
            pair[0] = (pair[0] * pair[1] + preference) / (pair[1] + 1)
            pair[1] += 1
    keys = np.array(list(pairs), np.int64).reshape(-1, 2)
    values = np.array(list(pairs.values()), float).reshape(-1, 4)
    return Pairs(keys[:, 0], keys[:, 1], values[:, 0], values[:, 2], values[:, 3])


def newest_slice(snapshot: Snapshot, *, share: float) -> NDArray[np.bool_]:
    """Return which pairs are the newest, shape (n_pairs,), at most `share` of them.

    Among pairs of one time, as an import leaves them, a fixed hash of the pair decides; so a later
    slice holds only pairs that are new or were in the slice before, and a model that did not learn
    from its own slice has not learned from a later one either.  A listener keeps at least two
    pairs outside it.
    """
    interactions = snapshot.interactions
    listeners = snapshot.listener_pks[interactions.user_rows]
    tracks = snapshot.track_pks[interactions.track_rows]
    chance = np.array(
        [zlib.crc32(f"{u}:{t}".encode()) for u, t in zip(listeners, tracks, strict=True)]
    )
    order = np.lexsort((chance, interactions.time))
    n_newest = int(len(interactions) * share)
    newest = np.zeros(len(interactions), bool)
    newest[order[len(order) - n_newest :]] = True
    left = np.bincount(interactions.user_rows[~newest], minlength=interactions.n_users)
    newest[left[interactions.user_rows] < 2] = False
    return newest
