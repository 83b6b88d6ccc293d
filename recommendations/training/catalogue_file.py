"""A catalogue and its listening read from files, for measuring without a database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recommendations.core.content import AUDIO_FEATURES, ContentFeatures
from recommendations.core.interactions import Interactions
from recommendations.training.evaluation import read_columns, read_interactions_of

GENRE_SEPARATOR = ";"


@dataclass(frozen=True, eq=False)
class CatalogueFile:
    """The tracks of a file in the form of `import_tracks`, a row each in the file's order.

    Attributes:
        track_ids: external ids.
        artists: names.
        genres: names of each track's genres.
        audio: features in their own units, shape (n_tracks, len(AUDIO_FEATURES)), NaN if unknown.
        popularity: 0 to 100, 50 if unknown.
        duration_ms: length, 210,000 if unknown.
    """

    track_ids: list[str]
    artists: list[str]
    genres: list[list[str]]
    audio: np.ndarray
    popularity: np.ndarray
    duration_ms: np.ndarray

    @property
    def content(self) -> ContentFeatures:
        """The content as training takes it."""
        return ContentFeatures.build(self.genres, self.audio)


def read_catalogue_file(path: Path) -> CatalogueFile:
    """Read a CSV or CSV.gz file of tracks.

    Raises:
        ValueError: a missing column, a row of another width, or a number that is none.
    """
    facts = ("track_id", "artist", "genres", "popularity", "duration_ms")
    rows = read_columns(path, (*facts, *AUDIO_FEATURES))
    if not rows:
        raise ValueError(f"{path} holds no tracks")
    columns = dict(zip((*facts, *AUDIO_FEATURES), zip(*rows, strict=True), strict=True))
    return CatalogueFile(
        track_ids=list(columns["track_id"]),
        artists=list(columns["artist"]),
        genres=[[g for g in text.split(GENRE_SEPARATOR) if g] for text in columns["genres"]],
        audio=np.stack([_numbers(path, name, columns[name]) for name in AUDIO_FEATURES], axis=1),
        popularity=np.nan_to_num(_numbers(path, "popularity", columns["popularity"]), nan=50),
        duration_ms=np.nan_to_num(
            _numbers(path, "duration_ms", columns["duration_ms"]), nan=210_000
        ),
    )


def read_listening(listens: Path, tracks: Path | None) -> tuple[Interactions, ContentFeatures]:
    """Read listening and, where a file of tracks is given, their content.

    Raises:
        ValueError: an unreadable file, or a track that the catalogue lacks.
    """
    if tracks is None:
        interactions = read_interactions_of(listens, None)
        return interactions, ContentFeatures.empty(interactions.n_tracks)
    catalogue = read_catalogue_file(tracks)
    return read_interactions_of(listens, catalogue.track_ids), catalogue.content


def _numbers(path: Path, name: str, texts: tuple[str, ...]) -> np.ndarray:
    """Return a column of numbers, NaN where the text is empty."""
    try:
        return np.array([float(text) if text else np.nan for text in texts])
    except ValueError as error:
        raise ValueError(f"{path}: column {name}: {error}") from error
