"""What listeners did with tracks, as arrays: the input of all learning.

A *preference* is feedback on one scale, 0 (rejected) to 1 (loved): a rating r becomes
(r - 1) / 4, and play counts become their rank within the listener.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import AnyRows, Doubles, Floats, Rows

NEUTRAL = 0.5


@dataclass(frozen=True, eq=False)
class Interactions:
    """Each (listener, track) pair once, with what is known of it.

    Attributes:
        user_rows: row of the listener, shape (n,), int32 in [0, n_users).
        track_rows: row of the track, same shape, int32 in [0, n_tracks).
        preference: in [0, 1], same shape, float32.
        rating: explicit rating from 1 to 5, NaN where none was given, same shape.
        time: seconds since 1970 (UTC), NaN where unknown, same shape.
        weight: how much the pair counts in training, for example the inverse of the
            probability that it was shown; same shape, positive.
        n_users: number of listeners.
        n_tracks: number of tracks in the catalogue, heard or not.

    Raises:
        ValueError: arrays of different lengths, or values out of range.
    """

    user_rows: Rows
    track_rows: Rows
    preference: Floats
    rating: Floats
    time: Doubles
    weight: Floats
    n_users: int
    n_tracks: int

    def __post_init__(self) -> None:
        shape = self.user_rows.shape
        for name in ("track_rows", "preference", "rating", "time", "weight"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, expected {shape}")
        _check_rows("user_rows", self.user_rows, self.n_users)
        _check_rows("track_rows", self.track_rows, self.n_tracks)
        if not ((self.preference >= 0) & (self.preference <= 1)).all():
            raise ValueError("preference must lie in [0, 1]")
        rated = self.rating[~np.isnan(self.rating)]
        if not ((rated >= 1) & (rated <= 5)).all():
            raise ValueError("rating must lie in [1, 5], or be NaN where none was given")
        if not (self.weight > 0).all():
            raise ValueError("weight must be positive")

    @classmethod
    def build(
        cls,
        user_rows: AnyRows,
        track_rows: AnyRows,
        *,
        n_users: int,
        n_tracks: int,
        preference: NDArray[np.floating] | None = None,
        rating: NDArray[np.floating] | None = None,
        time: NDArray[np.floating] | None = None,
        weight: NDArray[np.floating] | None = None,
    ) -> Interactions:
        """Fill in what is not known: preference from ratings, else 1; no ratings; weight 1.

        A pair given more than once keeps its last occurrence.
        """
        n = len(user_rows)
        given = {"preference": preference, "rating": rating, "time": time, "weight": weight}
        for name, column in {"track_rows": track_rows, **given}.items():
            if column is not None and len(column) != n:
                raise ValueError(f"{name} has {len(column)} values for {n} user_rows")
        ratings = np.full(n, np.nan) if rating is None else np.asarray(rating, float)
        if preference is None:
            preference = np.where(np.isnan(ratings), 1.0, (ratings - 1) / 4)
        key = np.asarray(user_rows, np.int64) * n_tracks + np.asarray(track_rows, np.int64)
        keep = n - 1 - np.unique(key[::-1], return_index=True)[1]
        return cls(
            user_rows=np.asarray(user_rows, np.int32)[keep],
            track_rows=np.asarray(track_rows, np.int32)[keep],
            preference=np.asarray(preference, np.float32)[keep],
            rating=ratings.astype(np.float32)[keep],
            time=(np.full(n, np.nan) if time is None else np.asarray(time, np.float64))[keep],
            weight=(np.ones(n, np.float32) if weight is None else np.asarray(weight, np.float32))[
                keep
            ],
            n_users=n_users,
            n_tracks=n_tracks,
        )

    def __len__(self) -> int:
        return len(self.user_rows)

    @property
    def has_ratings(self) -> bool:
        """Whether any explicit rating was given."""
        return not bool(np.isnan(self.rating).all())

    def take(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> Interactions:
        """Return the chosen pairs, of the same listeners and catalogue."""
        return replace(
            self,
            user_rows=self.user_rows[chosen],
            track_rows=self.track_rows[chosen],
            preference=self.preference[chosen],
            rating=self.rating[chosen],
            time=self.time[chosen],
            weight=self.weight[chosen],
        )

    def by_user(self) -> Histories:
        """Group the pairs by listener."""
        order = np.argsort(self.user_rows, kind="stable")
        starts = np.zeros(self.n_users + 1, np.int64)
        np.cumsum(np.bincount(self.user_rows, minlength=self.n_users), out=starts[1:])
        return Histories(
            starts=starts,
            track_rows=self.track_rows[order],
            preference=self.preference[order],
            weight=self.weight[order],
            n_tracks=self.n_tracks,
        )

    def track_counts(self) -> NDArray[np.int64]:
        """Return how many listeners responded to each track, shape (n_tracks,)."""
        return np.bincount(self.track_rows, minlength=self.n_tracks)


@dataclass(frozen=True, eq=False)
class Histories:
    """Interactions grouped by listener: those of row u lie at [starts[u], starts[u + 1])."""

    starts: NDArray[np.int64]
    track_rows: Rows
    preference: Floats
    weight: Floats
    n_tracks: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, user_row: int) -> tuple[Rows, Floats]:
        """Return one listener's tracks and preferences."""
        mine = slice(self.starts[user_row], self.starts[user_row + 1])
        return self.track_rows[mine], self.preference[mine]


def preference_from_plays(user_rows: AnyRows, plays: NDArray[np.integer]) -> Floats:
    """Return the preference that play counts show: their rank within the listener.

    The least played track is near neutral (0.5) and the most played near 1, so that a heavy and
    a light listener are on one scale; equal counts share their mean rank.  Playing is never a
    rejection.

    Raises:
        ValueError: a play count below 1.
    """
    if len(plays) and plays.min() < 1:
        raise ValueError(f"plays must be >= 1, got {plays.min()}")
    order = np.lexsort((plays, user_rows))
    users, counts = np.asarray(user_rows)[order], np.asarray(plays)[order]
    new_user = np.r_[True, users[1:] != users[:-1]]
    new_tie = new_user | np.r_[True, counts[1:] != counts[:-1]]
    first_of_user = np.flatnonzero(new_user)[np.cumsum(new_user) - 1]
    tie = np.cumsum(new_tie) - 1
    tie_begin = np.flatnonzero(new_tie)
    tie_end = np.r_[tie_begin[1:], len(users)]
    middle = (tie_begin + tie_end) / 2  # mean of the ranks begin .. end - 1, plus one half
    n_of_user = np.diff(np.r_[np.flatnonzero(new_user), len(users)])[np.cumsum(new_user) - 1]
    preference = np.empty(len(users), np.float32)
    share = (middle[tie] - first_of_user) / n_of_user
    preference[order] = NEUTRAL + (1 - NEUTRAL) * share
    return preference


def split_validation(
    interactions: Interactions,
    *,
    rng: np.random.Generator,
    per_user: int = 1,
    max_users: int | None = None,
    newest: bool = False,
) -> tuple[Interactions, Interactions]:
    """Return (train, held out): up to `per_user` pairs of each listener are held out.

    A listener keeps at least as many pairs as they lose, and one more: a short history gives up
    fewer pairs, and one of less than three none.  At most `max_users` listeners take part, drawn
    at random.  A listener's newest pairs are held out if `newest` and their times are known,
    random ones otherwise.
    """
    n = len(interactions)
    chance = rng.random(n)
    late = interactions.time if newest else np.full(n, np.nan)
    recency = np.where(np.isnan(late), -np.inf, late)
    order = np.lexsort((chance, -recency, interactions.user_rows))
    users = interactions.user_rows[order]
    new_user = np.r_[True, users[1:] != users[:-1]][:n]
    begin = np.flatnonzero(new_user)
    rank = np.arange(n) - np.repeat(begin, np.diff(np.r_[begin, n]))
    counts = np.bincount(interactions.user_rows, minlength=interactions.n_users)
    quota = np.clip((counts - 1) // 2, 0, per_user)
    able = np.flatnonzero(quota)
    if max_users is not None and len(able) > max_users:
        able = rng.choice(able, max_users, replace=False)
    quota[~np.isin(np.arange(interactions.n_users), able)] = 0
    held_out = np.zeros(n, bool)
    held_out[order] = rank < quota[users]
    return interactions.take(~held_out), interactions.take(held_out)


def _check_rows(name: str, rows: Rows, n: int) -> None:
    if rows.size and (rows.min() < 0 or rows.max() >= n):
        raise ValueError(f"{name} must lie in [0, {n}), got {rows.min()} to {rows.max()}")
