"""What a training learns from: one consistent picture of the database, as arrays."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from django.db import connection, transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Coalesce
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

    @cached_property
    def chances(self) -> NDArray[np.uint32]:
        """A fixed hash of each pair, by which those of one time have an order, shape (n_pairs,)."""
        listeners = self.listener_pks[self.interactions.user_rows]
        tracks = self.track_pks[self.interactions.track_rows]
        hashes = (
            zlib.crc32(f"{listener}:{track}".encode())
            for listener, track in zip(listeners, tracks, strict=True)
        )
        return np.fromiter(hashes, np.uint32, len(self.interactions))


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
            n_feedback += sum(not taken_back for *_, taken_back in responses)
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
        .values_list(
            "listener_id", "track_id", "plays", Coalesce("first_imported_at", "imported_at")
        )
    )


def _responses() -> QuerySet:
    return (
        Feedback.objects.of_listeners()
        .filter(track__is_active=True)
        .order_by("listener_id", "occurred_at", "pk")
        .values_list(
            *("listener_id", "track_id", "preference", "occurred_at", "rating", "kind"),
            "retraction__pk",
        )
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
    those, the rank of the imported play count.  `responses` are in order of time; one that was
    taken back tells only that the pair had occurred by then: a model may have learned from it.
    """
    pairs: dict[tuple[int, int], list[float]] = {}  # preference, n implicit, rating, first time
    withdrawn: dict[tuple[int, int], float] = {}  # first time of what was taken back
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
    for listener, track, preference, moment, rating, kind, taken_back in responses:
        key, occurred = (listener, track), moment.timestamp()
        if taken_back:
            withdrawn.setdefault(key, occurred)
            continue
        pair = pairs.setdefault(key, [0.5, 0.0, np.nan, occurred])
        pair[3] = min(pair[3], occurred)  # a total may have come later than the first response
        if kind in EXPLICIT_KINDS:
            pair[0], pair[1] = preference, -1.0  # from here on plays and skips say nothing new
            if rating is not None:
                pair[2] = rating
        elif pair[1] >= 0:
            pair[0] = (pair[0] * pair[1] + preference) / (pair[1] + 1)
            pair[1] += 1
    for key in withdrawn.keys() & pairs.keys():
        pairs[key][3] = min(pairs[key][3], withdrawn[key])
    keys = np.array(list(pairs), np.int64).reshape(-1, 2)
    values = np.array(list(pairs.values()), float).reshape(-1, 4)
    return Pairs(keys[:, 0], keys[:, 1], values[:, 0], values[:, 2], values[:, 3])


class Cut(NamedTuple):
    """A place in the order of pairs: by the time they first occurred, then by their hash.

    That order never changes, so a model that learned from the pairs before its cut has learned
    from none that is at or after it in any later snapshot, whatever was imported meanwhile.
    """

    time: float
    chance: int


def newest_cut(snapshot: Snapshot, *, share: float) -> Cut:
    """Return where the newest `share` of the pairs begins; past the last one where it is none."""
    times, chances = snapshot.interactions.time, snapshot.chances
    order = np.lexsort((chances, times))
    n_newest = int(len(order) * share)
    begin = order[len(order) - max(n_newest, 1)]
    return Cut(float(times[begin]), int(chances[begin]) + (n_newest == 0))


def since(snapshot: Snapshot, cut: Cut) -> NDArray[np.bool_]:
    """Return which pairs are at or after the cut, shape (n_pairs,)."""
    times = snapshot.interactions.time
    return (times > cut.time) | ((times == cut.time) & (snapshot.chances >= cut.chance))


def judged(snapshot: Snapshot, cut: Cut) -> NDArray[np.bool_]:
    """Return which pairs models are judged on, shape (n_pairs,).

    Those since the cut, of listeners with at least two pairs before it to rank them by.
    """
    interactions, late = snapshot.interactions, since(snapshot, cut)
    before = np.bincount(interactions.user_rows[~late], minlength=interactions.n_users)
    chosen: NDArray[np.bool_] = late & (before[interactions.user_rows] >= 2)
    return chosen
