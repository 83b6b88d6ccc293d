"""From scores to a slate: what may be shown, how often an artist, how alike the tracks.

The order of the rules is fixed: what is banned, then maximal marginal relevance under a limit per
artist (Carbonell and Goldstein, SIGIR 1998), then a draw for the places given to exploration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

POOL_FACTOR = 10
"""Diversity and exploration look at this many candidates for each place on the slate."""


@dataclass(frozen=True)
class SlateRules:
    """What a slate must keep to.

    Attributes:
        k: tracks on it, >= 1.
        max_per_artist: tracks by one artist, >= 1.
        diversity: weight of dissimilarity against score, 0 to 1.
        n_explored: places, from the end, filled by a draw among the runners-up, 0 to k.

    Raises:
        ValueError: a value out of its range.
    """

    k: int
    max_per_artist: int = 2
    diversity: float = 0.0
    n_explored: int = 0

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be >= 1, got {self.k}")
        if self.max_per_artist < 1:
            raise ValueError(f"max_per_artist must be >= 1, got {self.max_per_artist}")
        if not 0 <= self.diversity <= 1:
            raise ValueError(f"diversity must lie in [0, 1], got {self.diversity}")
        if not 0 <= self.n_explored <= self.k:
            raise ValueError(f"n_explored must lie in [0, {self.k}], got {self.n_explored}")


@dataclass(frozen=True, eq=False)
class Slate:
    """The chosen tracks, best first.

    Attributes:
        rows: rows of the catalogue, shape (n,), n <= k.
        explored: which places were drawn for exploration, same shape.
        relaxed: name of the last rule that gave way to fill the slate, or None.
    """

    rows: Rows
    explored: Mask
    relaxed: str | None


def choose_slate(
    scores: Floats,
    rules: SlateRules,
    *,
    banned: Mask,
    soft_bans: Sequence[tuple[str, Mask]],
    artists: NDArray[np.integer],
    vectors: Callable[[Rows], NDArray[np.floating]],
    rng: np.random.Generator | None,
) -> Slate:
    """Return the slate with high scores that keeps the rules.

    Rules that would leave it short give way one after another: first the number per artist, then
    the soft bans, the last named first.  What is `banned` never comes back, so where the catalogue
    is smaller than the slate the slate is short.

    Args:
        scores: of each track, shape (n_tracks,), higher is better; -inf where the strategy has no
            opinion, and such tracks come only when nothing else is left.
        rules: see `SlateRules`.
        banned: tracks never shown, shape (n_tracks,): hidden, excluded.
        soft_bans: names and masks of rules that give way when too little is left.
        artists: a number for each track's artist, shape (n_tracks,).
        vectors: returns unit content vectors of some rows, shape (n_rows, d).
        rng: source of the exploration's draw; None where nothing is explored.

    Raises:
        ValueError: places are to be explored, and there is no `rng`.
    """
    if rules.n_explored and rng is None:
        raise ValueError(f"{rules.n_explored} places are to be explored, and there is no rng")
    scores = np.where(np.isnan(scores), -np.inf, scores).astype(np.float32)
    relaxed: str | None = None
    active = list(soft_bans)
    limit = rules.max_per_artist
    while True:
        allowed = ~banned
        for _, mask in active:
            allowed &= ~mask
        slate = _fill(scores, allowed, rules, limit, artists, vectors, rng)
        if len(slate.rows) == rules.k or (not active and limit >= rules.k):
            return Slate(slate.rows, slate.explored, relaxed)
        if limit < rules.k:
            limit, relaxed = rules.k, "max_per_artist"
        else:
            relaxed = active.pop()[0]
            limit = rules.max_per_artist


def _fill(
    scores: Floats,
    allowed: Mask,
    rules: SlateRules,
    max_per_artist: int,
    artists: NDArray[np.integer],
    vectors: Callable[[Rows], NDArray[np.floating]],
    rng: np.random.Generator | None,
) -> Slate:
    """Return the best slate under one set of rules, perhaps short."""
    n = rules.k * POOL_FACTOR
    rows = np.flatnonzero(allowed)
    ranked = _best(scores, rows, n)
    pool = _cap_artists(ranked, artists, max_per_artist, n)
    if len(pool) < rules.k and len(ranked) < len(rows):
        pool = _cap_artists(_best(scores, rows, len(rows)), artists, max_per_artist, n)
    n_exploited = rules.k - rules.n_explored
    if rules.diversity > 0 and len(pool) > 1:
        order = maximal_marginal_relevance(
            scores[pool], vectors(pool), k=n_exploited, diversity=rules.diversity
        )
        chosen = pool[order]
    else:
        chosen = pool[:n_exploited]
    if rng is None or rules.n_explored == 0:
        return Slate(chosen, np.zeros(len(chosen), bool), None)
    rest = pool[~np.isin(pool, chosen)]
    explored = _draw(rest, scores[rest], rules.n_explored, rng)
    rows = np.concatenate([chosen, explored])
    return Slate(rows, np.arange(len(rows)) >= len(chosen), None)


def _best(scores: Floats, rows: Rows, n: int) -> Rows:
    """Return up to `n` of `rows`, which rise, best first; ties go to the lower row."""
    level = scores[rows]
    if n < len(rows):
        worst = np.partition(level, len(level) - n)[len(level) - n]
        # Ties at the edge are settled by row, not by the partition's whim.
        above = np.flatnonzero(level > worst)
        tied = np.flatnonzero(level == worst)[: n - len(above)]
        kept = np.concatenate([above, tied])
        rows, level = rows[kept], level[kept]
    return rows[np.argsort(-level, kind="stable")]


def _cap_artists(ranked: Rows, artists: NDArray[np.integer], max_per_artist: int, n: int) -> Rows:
    """Return the first `n` of `ranked` that are among their artist's `max_per_artist` first."""
    counts: dict[int, int] = {}
    kept: list[int] = []
    for place, artist in enumerate(artists[ranked].tolist()):
        count = counts.get(artist, 0)
        if count < max_per_artist:
            counts[artist] = count + 1
            kept.append(place)
            if len(kept) == n:
                break
    return ranked[kept]


def maximal_marginal_relevance(
    scores: Floats, vectors: NDArray[np.floating], *, k: int, diversity: float
) -> Rows:
    """Return the order in which to pick `k` candidates, relevant and unlike those before.

    Each step takes the largest (1 - diversity) * score - diversity * similarity, where scores are
    scaled to [0, 1] over the candidates and the similarity is the largest cosine to a track
    already picked (Carbonell and Goldstein, SIGIR 1998).  O(k * n * d).

    Args:
        scores: of each candidate, shape (n,).
        vectors: unit vectors, shape (n, d); a zero vector is unlike everything.
        k: how many to pick; fewer come back where there are fewer.
        diversity: 0 ranks by score alone, 1 by dissimilarity alone.
    """
    finite = np.isfinite(scores)
    relevance = np.zeros(len(scores))
    if finite.any():
        low, high = scores[finite].min(), scores[finite].max()
        relevance[finite] = (scores[finite] - low) / max(high - low, 1e-12)
    relevance[~finite] = -1.0
    similarity = np.zeros(len(scores))
    picked: list[int] = []
    gain = (1 - diversity) * relevance
    while len(picked) < min(k, len(scores)):
        best = int(np.argmax(gain - diversity * similarity))
        picked.append(best)
        gain[best] = -np.inf
        np.maximum(similarity, vectors @ vectors[best], out=similarity)
    return np.array(picked, np.intp)


def _draw(rows: Rows, scores: Floats, n: int, rng: np.random.Generator) -> Rows:
    """Draw `n` rows without replacement, better ones likelier, best first.

    Adding Gumbel noise to log-weights and taking the largest draws without replacement in
    proportion to the weights (Kool et al., ICML 2019); a track's weight is 1 / rank.
    """
    if len(rows) == 0:
        return rows[:0]
    order = np.argsort(-scores, kind="stable")
    rank = np.empty(len(rows))
    rank[order] = np.arange(1, len(rows) + 1)
    keys = -np.log(rank) + rng.gumbel(size=len(rows))
    drawn = np.argsort(-keys)[:n]
    return rows[drawn[np.argsort(rank[drawn])]]
