"""Which of a listener's own tracks raised the scores of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import AnyRows, Floats


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

    def nearest(self, *, limit: int) -> list[list[Evidence]]:
        """Return, for each of `rows`, the history tracks that raised its score, most first.

        At most `limit` of each, ties to the earlier one.  The track itself is not among them:
        that somebody plays it is no reason to play it.
        """
        left = np.where(self.history[:, None] == self.rows, 0, self.contributions)
        found: list[list[Evidence]] = [[] for _ in self.rows]
        for _ in range(min(limit, len(left))):
            for place, i in enumerate(left.argmax(axis=0).tolist()):
                if left[i, place] > 0:
                    found[place].append(Evidence(int(self.history[i]), float(left[i, place])))
                    left[i, place] = 0
        return found
