"""The catalogue as arrays, as a web process holds it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from django.db.models import Count
from numpy.typing import NDArray

from recommendations.core.content import ContentFeatures
from recommendations.models import Genre, PlayCount, Track
from recommendations.models.catalogue import AUDIO_FEATURES


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Every active track, a row each, in the order of primary keys.

    Attributes:
        version: `ServingState.catalogue_version` when this was read.
        pks: primary keys of the tracks, shape (n_tracks,), rising.
        track_ids: the names their source knows them by.
        names: titles.
        artist_rows: row of each track's artist, shape (n_tracks,).
        artist_names: names of the artists, by their rows.
        artist_pks: primary keys of the artists, by their rows, rising.
        popularity: share of known listeners who played it; 0 to 1, shape (n_tracks,); where
            nobody played anything, the catalogue's own figure / 100.
        content: genres and audio features.
    """

    version: int
    pks: NDArray[np.int64]
    track_ids: list[str]
    names: list[str]
    artist_rows: NDArray[np.int32]
    artist_names: list[str]
    artist_pks: NDArray[np.int64]
    popularity: NDArray[np.float32]
    content: ContentFeatures

    def __len__(self) -> int:
        return len(self.pks)

    @cached_property
    def row_of_track_id(self) -> dict[str, int]:
        """Rows by external track id."""
        return {track_id: row for row, track_id in enumerate(self.track_ids)}

    def rows_of(self, pks: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the row of each primary key, -1 for a track that is not here."""
        if not len(self.pks):
            return np.full(len(pks), -1, np.intp)
        rows = np.minimum(np.searchsorted(self.pks, pks), len(self.pks) - 1)
        return np.where(self.pks[rows] == pks, rows, -1)

    def artist(self, row: int) -> str:
        """Return the name of a track's artist."""
        return self.artist_names[self.artist_rows[row]]

    @cached_property
    def _artist_row(self) -> dict[str, int]:
        return {name.casefold(): row for row, name in enumerate(self.artist_names)}

    @cached_property
    def _tracks_by_artist(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        order = np.argsort(self.artist_rows, kind="stable")
        bounds = np.searchsorted(self.artist_rows[order], np.arange(len(self.artist_names) + 1))
        return order, bounds

    def rows_of_artist(self, name: str) -> NDArray[np.intp]:
        """Return the rows of an artist's tracks, whatever the case of the name; none if unknown."""
        artist = self._artist_row.get(name.casefold())
        if artist is None:
            return np.empty(0, np.intp)
        order, bounds = self._tracks_by_artist
        return order[bounds[artist] : bounds[artist + 1]]

    def genres_of(self, row: int) -> list[str]:
        """Return a track's genres."""
        columns, _ = self.content.genres.row(row)
        return [self.content.genre_names[column] for column in columns]

    def content_vectors(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return unit content vectors, shape (n_rows, n_features); zero where nothing is known."""
        vectors = self.content.vectors(rows)
        # Eight features against one genre vector of length one: the same weight for both.
        vectors[:, -len(AUDIO_FEATURES) :] /= len(AUDIO_FEATURES)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(lengths, 1e-9)

    @cached_property
    def genre_rows(self) -> dict[str, NDArray[np.intp]]:
        """Rows of the tracks of each genre."""
        hot = self.content.genres
        owner = np.repeat(np.arange(hot.n_rows), np.diff(hot.starts))
        order = np.argsort(hot.columns, kind="stable")
        bounds = np.searchsorted(hot.columns[order], np.arange(hot.n_columns + 1))
        return {
            name: owner[order[bounds[i] : bounds[i + 1]]]
            for i, name in enumerate(self.content.genre_names)
        }


def read_catalogue(version: int) -> Catalogue:
    """Read every active track; four queries."""
    tracks = list(
        Track.objects.active()
        .order_by("pk")
        .values_list(
            "pk", "track_id", "name", "artist_id", "artist__name", "popularity", *AUDIO_FEATURES
        )
    )
    pks = np.array([track[0] for track in tracks], np.int64)
    artists = np.array([track[3] for track in tracks], np.int64)
    artist_pks, first, artist_rows = np.unique(artists, return_index=True, return_inverse=True)
    audio = np.array([track[6:] for track in tracks], float).reshape(-1, len(AUDIO_FEATURES))
    return Catalogue(
        version=version,
        pks=pks,
        track_ids=[track[1] for track in tracks],
        names=[track[2] for track in tracks],
        artist_rows=artist_rows.astype(np.int32),
        artist_names=[tracks[i][4] for i in first],
        artist_pks=artist_pks,
        popularity=_popularity(pks, [track[5] for track in tracks]),
        content=ContentFeatures.build(read_genres(pks), audio),
    )


def read_genres(pks: NDArray[np.int64]) -> list[list[str]]:
    """Return the genres of each of the tracks, whose primary keys rise."""
    names = dict(Genre.objects.values_list("pk", "name"))
    genres: list[list[str]] = [[] for _ in pks]
    links = Track.genres.through.objects.filter(track__is_active=True)
    row_of = {pk: row for row, pk in enumerate(pks.tolist())}
    for track, genre in links.values_list("track_id", "genre_id").iterator(chunk_size=20_000):
        if track in row_of:
            genres[row_of[track]].append(names[genre])
    return genres


def _popularity(pks: NDArray[np.int64], declared: list[int | None]) -> NDArray[np.float32]:
    counts = dict(
        PlayCount.objects.values_list("track_id")
        .annotate(n=Count("pk"))
        .values_list("track_id", "n")
    )
    if not counts:
        return np.array([(value or 0) / 100 for value in declared], np.float32)
    n_listeners = PlayCount.objects.values("listener_id").distinct().count()
    listeners = np.array([counts.get(pk, 0) for pk in pks.tolist()], np.float32)
    return listeners / max(n_listeners, 1)
