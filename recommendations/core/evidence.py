"""Which of a listener's own tracks raised the scores of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import AnyRows, Floats, top_k


@dataclass(frozen=True)
class Evidence:
    """A track of the listener's own history that raised another's score, and by how much."""

    track_row: int
    contribution: float


@dataclass(frozen=True, eq=False)
class HistoryEvidence:
    """What each track of one history adds to the blended scores of some tracks.

    Attributes:
        history: the listener's tracks, shape (n,).
        rows: the tracks scored, shape (k,).
        contributions: in standard deviations, as blended, shape (n, k).
    """

    history: NDArray[np.int64]
    rows: AnyRows
    contributions: Floats

    def nearest(self, place: int, *, limit: int) -> list[Evidence]:
        """Return the history tracks that raised the score of `rows[place]` most, most first.

        The track itself is not among them: that somebody plays it is no reason to play it.
        """
        total = self.contributions[:, place]
        return [
            Evidence(int(self.history[i]), float(total[i]))
            for i in top_k(total, limit + 1)
            if total[i] > 0 and self.history[i] != self.rows[place]
        ][:limit]
