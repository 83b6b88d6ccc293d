"""Which of a listener's own tracks raised the score of another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import Floats, Table, top_k


@dataclass(frozen=True)
class Evidence:
    """A track of the listener's own history that raised another's score, and by how much."""

    track_row: int
    contribution: float


@dataclass(frozen=True, eq=False)
class HistoryEvidence:
    """What each track of one history adds to the blended score of any other.

    Computed once for a listener, so that a whole slate is explained at the price of one track.
    All numbers are in standard deviations, as blended.

    Attributes:
        track_rows: the history, shape (n,).
        influences: what a history track adds is the dot product of its row here with the other
            track's factors; shape (n, n_factors).
        factors: factors of every track, shape (n_tracks, n_factors).
        link_columns: tracks that the history is linked to, shape (n_links,).
        link_owners: row of `track_rows` that each link comes from, same shape, rising.
        link_values: what each link adds, same shape.
    """

    track_rows: NDArray[np.int64]
    influences: Floats
    factors: Table
    link_columns: NDArray[np.integer]
    link_owners: NDArray[np.intp]
    link_values: Floats

    def nearest(self, track_row: int, *, limit: int) -> list[Evidence]:
        """Return the history tracks that raised a track's score most, most first.

        The track itself is not among them: that somebody plays it is no reason to play it.
        """
        total: Floats = self.influences @ self.factors[track_row].astype(np.float32)
        here = np.flatnonzero(self.link_columns == track_row)
        total[self.link_owners[here]] += self.link_values[here]  # a history track links to it once
        return [
            Evidence(int(self.track_rows[i]), float(total[i]))
            for i in top_k(total, limit + 1)
            if total[i] > 0 and self.track_rows[i] != track_row
        ][:limit]
