"""Why each candidate is, or is not, on a slate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import Floats
from recommendations.core.rules import Mask, Slate


@dataclass(frozen=True)
class Fate:
    """What became of one track.

    Attributes:
        row: of the catalogue.
        rank: by score among all tracks, from 1.
        score: after the mood; what the rules were given.
        place: on the slate, from 1; None where it is not on it.
        rule: which rule took it away, or how it got its place.
    """

    row: int
    rank: int
    score: float
    place: int | None
    rule: str


def fates(
    scores: Floats,
    slate: Slate,
    *,
    banned: Mask,
    soft_bans: Sequence[tuple[str, Mask]],
    artists: NDArray[np.integer],
    max_per_artist: int,
    n: int,
) -> list[Fate]:
    """Return the `n` best-scored tracks and the slate's own, by rank, each with its fate.

    Args:
        scores: that the rules were given, shape (n_tracks,).
        slate: what they made of them.
        banned: hidden or excluded, shape (n_tracks,).
        soft_bans: as the rules had them, each name with its mask.
        artists: a number for each track's artist, shape (n_tracks,).
        max_per_artist: as the rules had it.
        n: how many of the best.
    """
    clean = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-clean, kind="stable")
    rank_of = np.empty(len(order), np.intp)
    rank_of[order] = np.arange(1, len(order) + 1)
    places = {int(row): place for place, row in enumerate(slate.rows.tolist(), start=1)}
    explored = {int(row) for row in slate.rows[slate.explored]}
    lapsed = _lapsed(slate.relaxed, soft_bans)
    wanted = set(order[:n].tolist()) | set(places)
    found = []
    before: dict[int, int] = {}  # tracks of an artist that kept every rule so far
    worst = max((int(rank_of[row]) for row in places if row not in explored), default=0)
    last = max((int(rank_of[row]) for row in wanted), default=0)
    for row in order[:last].tolist():
        rule = _banning(row, banned, soft_bans, lapsed)
        artist = int(artists[row])
        if not rule:
            before[artist] = before.get(artist, 0) + 1
            if before[artist] > max_per_artist and slate.relaxed is None and row not in places:
                rule = f"more than {max_per_artist} by this artist"
        if row not in wanted:
            continue
        if row in places:
            rule = "drawn to explore" if row in explored else "kept by every rule"
        elif not rule:
            rule = "too like those above it" if rank_of[row] < worst else "ranked too low"
        found.append(Fate(row, int(rank_of[row]), float(clean[row]), places.get(row), rule))
    return found


def _lapsed(relaxed: str | None, soft_bans: Sequence[tuple[str, Mask]]) -> set[str]:
    """Return the names of the rules that gave way: the one named, and those after it."""
    names = [name for name, _ in soft_bans]
    if relaxed is None or relaxed not in names:
        return set()
    return set(names[names.index(relaxed) :])


def _banning(
    row: int, banned: Mask, soft_bans: Sequence[tuple[str, Mask]], lapsed: set[str]
) -> str:
    if banned[row]:
        return "hidden or excluded"
    for name, mask in soft_bans:
        if mask[row] and name not in lapsed:
            return {"heard": "heard of late", "genres": "not of the genres asked for"}.get(
                name, name
            )
    return ""
