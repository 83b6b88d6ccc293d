"""How evenly, and how far from the well-known, recommendations are spread over a catalogue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def coverage(shown: NDArray[np.integer]) -> float:
    """Return the share of tracks shown at least once, 0 to 1.

    Args:
        shown: how often each track of the catalogue was shown, shape (n_tracks,), >= 0.

    Raises:
        ValueError: no track.
    """
    if not len(shown):
        raise ValueError("coverage needs a catalogue, got no track")
    return float(np.count_nonzero(shown) / len(shown))


def gini(shown: NDArray[np.integer]) -> float:
    """Return the Gini coefficient of exposure: 0 all alike, towards 1 where one track has all.

    The mean absolute difference over twice the mean, by the sorted form (Gini 1912); 0 where
    nothing was shown.

    Args:
        shown: how often each track of the catalogue was shown, shape (n_tracks,), >= 0.

    Raises:
        ValueError: no track.
    """
    if not len(shown):
        raise ValueError("a Gini coefficient needs a catalogue, got no track")
    counts = np.sort(shown).astype(np.float64)
    total = counts.sum()
    if total == 0:
        return 0.0
    n = len(counts)
    ranks = np.arange(1, n + 1)
    return float((2 * ranks - n - 1) @ counts / (n * total))


def novelty(shown: NDArray[np.integer], popularity: NDArray[np.floating]) -> float | None:
    """Return the mean self-information of what was shown, in bits; None where nothing was.

    A track that a share p of listeners know tells -log2(p) bits (Zhou et al., PNAS 2010); one
    that nobody knows counts as if half a listener of the least known did.

    Args:
        shown: how often each track was shown, shape (n_tracks,), >= 0.
        popularity: share of listeners who know it, in [0, 1], same shape.
    """
    total = shown.sum()
    if total == 0:
        return None
    known = popularity[popularity > 0]
    least = float(known.min()) / 2 if len(known) else 1.0
    bits = -np.log2(np.maximum(popularity.astype(np.float64), least))
    return float(bits @ shown / total)
