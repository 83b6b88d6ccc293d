"""Ranking and rating metrics, per list or over lists, each with its definition.

A *list* is the rows of the tracks shown, best first; *relevant* the set of rows that count.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import AnyRows, Doubles


def dcg_discounts(k: int) -> Doubles:
    """Return 1 / log2(rank + 1) for ranks 1 to k (Järvelin & Kekäläinen, TOIS 2002)."""
    if k < 1:
        raise ValueError(f"k must be >= 1, got {k}")
    return 1 / np.log2(np.arange(2, k + 2))


def recall_at_k(ranked: AnyRows, relevant: Collection[int], *, k: int) -> float:
    """Return the share of the relevant tracks among the first k; NaN without relevant tracks."""
    return _hits(ranked, relevant, k).sum() / len(relevant) if relevant else float("nan")


def hit_rate_at_k(ranked: AnyRows, relevant: Collection[int], *, k: int) -> float:
    """Return 1 if any relevant track is among the first k, else 0; NaN without relevant ones."""
    return float(_hits(ranked, relevant, k).any()) if relevant else float("nan")


def ndcg_at_k(ranked: AnyRows, relevant: Collection[int], *, k: int) -> float:
    """Return the discounted gain over that of the best possible list of k; NaN without relevant.

    The ideal is truncated at k: a list of k relevant tracks has 1, however many more there are.
    """
    if not relevant:
        return float("nan")
    discounts = dcg_discounts(k)
    hits = _hits(ranked, relevant, k)
    return float(discounts[: len(hits)] @ hits / discounts[: len(relevant)].sum())


def rank_among_candidates(target_score: float, other_scores: NDArray[np.floating]) -> int:
    """Return the target's rank, 1 being best; a tie or a NaN counts against it."""
    return 1 + int(len(other_scores) - np.sum(other_scores < target_score))


def coverage(lists: Sequence[AnyRows], *, n_tracks: int) -> float:
    """Return the share of the catalogue shown to anyone, in [0, 1]."""
    return len(np.unique(np.concatenate(lists))) / n_tracks if lists else 0.0


def novelty(lists: Sequence[AnyRows], track_counts: NDArray[np.integer], *, n_users: int) -> float:
    """Return the mean self-information of the tracks shown, in bits (Zhou et al., PNAS 2010).

    A track that c of n listeners know gives log2((n + 1) / (c + 1)); the one added keeps an
    unheard track finite.
    """
    if not lists:
        return float("nan")
    shown = np.concatenate(lists)
    return float(np.mean(np.log2((n_users + 1) / (np.asarray(track_counts)[shown] + 1))))


def gini(lists: Sequence[AnyRows], *, n_tracks: int) -> float:
    """Return the inequality of exposure over the catalogue: 0 all alike, near 1 one track has all.

    Mean absolute difference over twice the mean, of how often each track is shown.
    """
    if not lists:
        return float("nan")
    shown = np.sort(np.bincount(np.concatenate(lists), minlength=n_tracks)).astype(np.float64)
    ranks = np.arange(1, n_tracks + 1)
    return float((2 * ranks - n_tracks - 1) @ shown / (n_tracks * shown.sum()))


def mean_absolute_error(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> float:
    """Return the mean absolute difference."""
    return float(np.mean(np.abs(np.asarray(predicted, float) - actual)))


def root_mean_squared_error(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> float:
    """Return the root of the mean squared difference."""
    return float(np.sqrt(np.mean((np.asarray(predicted, float) - actual) ** 2)))


@dataclass(frozen=True)
class ReliabilityCurve:
    """Stated against observed frequency, by bins of equal size.

    Attributes:
        stated: mean stated probability in each bin.
        observed: share of the bin in which the event happened.
        counts: number of cases in each bin.
    """

    stated: tuple[float, ...]
    observed: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def expected_calibration_error(self) -> float:
        """Mean absolute gap, bins weighted by their counts (Naeini et al., AAAI 2015)."""
        gaps = np.abs(np.subtract(self.stated, self.observed))
        return float(np.average(gaps, weights=self.counts)) if self.counts else float("nan")


def reliability_curve(
    stated: NDArray[np.floating], happened: NDArray[np.bool_], *, n_bins: int = 10
) -> ReliabilityCurve:
    """Return the reliability of stated probabilities, in at most `n_bins` bins of equal count."""
    order = np.argsort(stated, kind="stable")
    bins = [b for b in np.array_split(order, n_bins) if len(b)]
    return ReliabilityCurve(
        stated=tuple(float(np.mean(stated[b])) for b in bins),
        observed=tuple(float(np.mean(happened[b])) for b in bins),
        counts=tuple(len(b) for b in bins),
    )


def _hits(ranked: AnyRows, relevant: Collection[int], k: int) -> NDArray[np.bool_]:
    if k < 1:
        raise ValueError(f"k must be >= 1, got {k}")
    return np.isin(np.asarray(ranked)[:k], np.fromiter(relevant, dtype=np.int64))
