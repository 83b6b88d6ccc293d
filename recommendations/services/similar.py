"""Tracks like another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommendations.core.arrays import top_k
from recommendations.serving import state
from recommendations.serving.catalogue import Catalogue


@dataclass(frozen=True)
class SimilarTrack:
    """A track like another.

    Attributes:
        similarity: comparable within one answer only; higher is more alike.
        source: "listening" where people who play one play the other, "content" where the two
            only sound alike.
    """

    track_id: str
    track_name: str
    artist: str
    similarity: float
    source: str


def similar_tracks(track_id: str, *, k: int) -> list[SimilarTrack] | None:
    """Return the `k` tracks most like one, best first; None where it is not in the catalogue.

    From the item-to-item model; by content for a track that nobody has played, and for the rest
    of the list where few have.
    """
    stage = state.current()
    catalogue, loaded = stage.catalogue, stage.loaded
    row = catalogue.row_of_track_id.get(track_id)
    if row is None:
        return None
    found: dict[int, tuple[float, str]] = {}
    model_row = loaded.model_rows[row] if loaded else -1
    if loaded is not None and model_row >= 0 and loaded.model.track_counts[model_row] > 0:
        rows, scores = loaded.model.similar(int(model_row), k)
        for place, score in zip(loaded.rows[rows].tolist(), scores.tolist(), strict=True):
            if place >= 0 and place != row:
                found[place] = (score, "listening")
    if len(found) < k:
        likeness = _content_likeness(catalogue, row)
        likeness[[row, *found]] = -np.inf
        for place in top_k(likeness, k - len(found)).tolist():
            found[place] = (float(likeness[place]), "content")
    return [
        SimilarTrack(
            track_id=catalogue.track_ids[place],
            track_name=catalogue.names[place],
            artist=catalogue.artist(place),
            similarity=score,
            source=source,
        )
        for place, (score, source) in list(found.items())[:k]
    ]


def _content_likeness(catalogue: Catalogue, row: int) -> np.ndarray:
    """Return the cosine of every track's content vector with one track's, shape (n_tracks,)."""
    likeness = np.empty(len(catalogue), np.float32)
    own = catalogue.content_vectors(np.array([row]))[0]
    block = 20_000  # so that a million tracks need no dense matrix of their own
    for begin in range(0, len(catalogue), block):
        rows = np.arange(begin, min(begin + block, len(catalogue)))
        likeness[rows] = catalogue.content_vectors(rows) @ own
    return likeness
