"""Which of a listener's own tracks raised the scores of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import AnyRows, Floats


class Evidence(NamedTuple):
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
        """Return, per track scored, the history tracks that raised its score most, most first.

        The track itself is not among them: that somebody plays it is no reason to play it.
        """
        left = np.where(self.history[:, None] == self.rows, -np.inf, self.contributions)
        places = np.arange(len(self.rows))
        found: list[list[Evidence]] = [[] for _ in places]
        for _ in range(min(limit, len(self.history))):
            best = left.argmax(axis=0)  # ties go to the earlier track
            tracks, values = self.history[best].tolist(), left[best, places].tolist()
            for nearest, track, value in zip(found, tracks, values, strict=True):
                if value > 0:
                    nearest.append(Evidence(track, value))
            left[best, places] = -np.inf
        return found
