"""Tracks like another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommendations.core.arrays import Floats, top_k
from recommendations.serving import state
from recommendations.serving.catalogue import Catalogue
from recommendations.serving.state import Stage


@dataclass(frozen=True)
class SimilarTrack:
    """A track like another.

    Attributes:
        row: in the catalogue.
        similarity: comparable within one answer only; higher is more alike.
        source: "listening" where people who play one play the other, "content" where the two
            only sound alike.
    """

    row: int
    similarity: float
    source: str


def similar_tracks(track_id: str, *, k: int) -> tuple[Catalogue, list[SimilarTrack]] | None:
    """Return the `k` tracks most like one, best first; None where it is not in the catalogue.

    From the item-to-item model; by content for a track that nobody has played, and for the rest
    of the list where few have.
    """
    stage = state.current()
    catalogue = stage.catalogue
    row = catalogue.row_of_track_id.get(track_id)
    if row is None:
        return None
    found = {place: (score, "listening") for place, score in _listened_with(stage, row, k).items()}
    if len(found) < k:
        likeness = _content_likeness(catalogue, row)
        likeness[[row, *found]] = -np.inf
        for place in top_k(likeness, k - len(found)).tolist():
            found[place] = (float(likeness[place]), "content")
    return catalogue, [
        SimilarTrack(place, score, source) for place, (score, source) in list(found.items())[:k]
    ]


def likeness_to(stage: Stage, row: int, *, k: int = 500) -> tuple[Floats, str]:
    """Return each track's likeness to one, -inf for itself and for those unlike it, and its source.

    Likeness is of listening where the model knows of any, else of content; shape (n_tracks,).
    """
    listened = _listened_with(stage, row, k)
    if listened:
        likeness = np.full(len(stage.catalogue), -np.inf, np.float32)
        likeness[list(listened)] = list(listened.values())
        return likeness, "listening"
    likeness = _content_likeness(stage.catalogue, row)
    likeness[row] = -np.inf
    return likeness, "content"


def _listened_with(stage: Stage, row: int, k: int) -> dict[int, float]:
    """Return the score of the tracks that people who play one play, by row, best first."""
    loaded = stage.loaded
    model_row = int(loaded.model_rows[row]) if loaded else -1
    if loaded is None or model_row < 0 or loaded.model.track_counts[model_row] == 0:
        return {}
    rows, scores = loaded.model.similar(model_row, k)
    return {
        place: score
        for place, score in zip(loaded.rows[rows].tolist(), scores.tolist(), strict=True)
        if place >= 0 and place != row
    }


def _content_likeness(catalogue: Catalogue, row: int) -> np.ndarray:
    """Return the cosine of every track's content vector with one track's, shape (n_tracks,)."""
    likeness = np.empty(len(catalogue), np.float32)
    own = catalogue.content_vectors(np.array([row]))[0]
    block = 20_000  # so that a million tracks need no dense matrix of their own
    for begin in range(0, len(catalogue), block):
        rows = np.arange(begin, min(begin + block, len(catalogue)))
        likeness[rows] = catalogue.content_vectors(rows) @ own
    return likeness


N_SEED_TRACKS = 5
"""Tracks of an artist, the best known first, whose neighbours vote for similar artists."""


def similar_artists(stage: Stage, artist_pk: int, *, k: int) -> list[tuple[int, str]]:
    """Return primary keys and names of the artists nearest to one, best first.

    Each of the artist's best-known tracks votes for the artists of its own neighbours, by rank.
    """
    catalogue = stage.catalogue
    place = int(np.searchsorted(catalogue.artist_pks, artist_pk))
    if place >= len(catalogue.artist_pks) or catalogue.artist_pks[place] != artist_pk:
        return []
    rows = np.flatnonzero(catalogue.artist_rows == place)
    seeds = rows[np.argsort(-catalogue.popularity[rows], kind="stable")[:N_SEED_TRACKS]]
    votes = np.zeros(len(catalogue.artist_pks), np.float32)
    for row in seeds.tolist():
        likeness, _ = likeness_to(stage, row, k=100)
        neighbours = top_k(likeness, min(100, len(likeness)))
        np.add.at(votes, catalogue.artist_rows[neighbours], 1 / np.arange(2, len(neighbours) + 2))
    votes[place] = -np.inf
    best = [int(other) for other in top_k(votes, k) if votes[other] > 0]
    return [(int(catalogue.artist_pks[other]), catalogue.artist_names[other]) for other in best]
