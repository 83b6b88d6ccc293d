"""The catalogue as arrays, as a web process holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import NamedTuple

import numpy as np
from django.db.models import Count
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommendations.core.content import (
    ContentFeatures,
    StatedTaste,
    audio_distance,
    content_profile,
)
from recommendations.models import Genre, PlayCount, Track
from recommendations.models.catalogue import AUDIO_FEATURES


class TrackFacts(NamedTuple):
    """What a list says of a track beside its name, artist and genres.

    Attributes:
        album: "" where unknown.
        year: of the release.
        duration_ms: its length.
        popularity: the catalogue's own figure, 0 to 100.
        cover_url: of an image, or None.
        preview_url: of a sound, or None.
    """

    album: str
    year: int | None
    duration_ms: int | None
    popularity: int | None
    cover_url: str | None
    preview_url: str | None


@dataclass(frozen=True)
class GenreSummary:
    """A genre of the active tracks.

    Attributes:
        n_tracks: how many have it.
        energy: mean over its tracks, 0 to 1; None where it is known of none.
        valence: likewise.
        related: the genres that its tracks have most often besides, nearest first.
    """

    genre: str
    n_tracks: int
    energy: float | None
    valence: float | None
    related: tuple[str, ...]


KEPT_VECTORS_BYTES = 8_000_000
"""What the content vectors of a catalogue may take in memory; above it they are made each time."""


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
        facts: what else a client is told of each track.
        popularity: share of known listeners who played it; 0 to 1, shape (n_tracks,); where
            no counts of plays came with the listeners, the catalogue's own figure / 100.
        is_popularity_counted: whether it is the share of listeners.
        content: genres and audio features.
    """

    version: int
    pks: NDArray[np.int64]
    track_ids: list[str]
    names: list[str]
    artist_rows: NDArray[np.int32]
    artist_names: list[str]
    artist_pks: NDArray[np.int64]
    facts: list[TrackFacts]
    popularity: NDArray[np.float32]
    is_popularity_counted: bool
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

    @cached_property
    def novelty(self) -> NDArray[np.float32]:
        """Rank of each track by how few know it, in [0, 1], ties sharing the highest."""
        order = np.sort(self.popularity)
        ranks = np.searchsorted(order, self.popularity) / max(len(self) - 1, 1)
        return (1 - ranks).astype(np.float32)

    def genres_of(self, row: int) -> list[str]:
        """Return a track's genres."""
        hot = self.content.genres
        columns = hot.columns[hot.starts[row] : hot.starts[row + 1]].tolist()
        return [self.content.genre_names[column] for column in columns]

    def content_vectors(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return unit content vectors, shape (n_rows, n_features); zero where nothing is known."""
        kept = self._kept_vectors
        return self._vectors_of(rows) if kept is None else kept[rows]

    @cached_property
    def _kept_vectors(self) -> NDArray[np.float32] | None:
        """Those of every track, where they take little enough memory."""
        n_bytes = 4 * len(self) * self.content.n_features
        return self._vectors_of(np.arange(len(self))) if n_bytes <= KEPT_VECTORS_BYTES else None

    def _vectors_of(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        vectors = self.content.vectors(rows)
        # Eight features against one genre vector of length one: the same weight for both.
        vectors[:, -len(AUDIO_FEATURES) :] /= len(AUDIO_FEATURES)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(lengths, 1e-9)

    @cached_property
    def distance_to_mood(self) -> Callable[[tuple[float, float]], NDArray[np.float32]]:
        """Return how far each track lies from a mood (valence, arousal), in standard deviations.

        Moods are few and asked for again and again: the last ones are kept.
        """
        return lru_cache(maxsize=16)(partial(_distance_to_mood, self.content))

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

    @cached_property
    def genre_summaries(self) -> list[GenreSummary]:
        """Every genre that an active track has, in alphabetical order."""
        hot = self.content.genres
        n_tracks = np.bincount(hot.columns, minlength=hot.n_columns)
        shared = self._shared_genres()
        likeness = shared / np.sqrt(np.maximum(np.outer(n_tracks, n_tracks), 1))
        means = {name: self._genre_means(name) for name in ("energy", "valence")}
        return [
            GenreSummary(
                genre=name,
                n_tracks=int(n_tracks[column]),
                energy=_rounded(means["energy"][column]),
                valence=_rounded(means["valence"][column]),
                related=tuple(
                    self.content.genre_names[other]
                    for other in np.argsort(-likeness[column], kind="stable")[:N_RELATED]
                    if likeness[column, other] > 0
                ),
            )
            for column, name in enumerate(self.content.genre_names)
            if n_tracks[column]
        ]

    def _shared_genres(self) -> NDArray[np.float32]:
        """Return how many tracks have both of two genres, (n_genres, n_genres), diagonal 0."""
        hot = self.content.genres
        matrix = csr_array(
            (np.ones(len(hot.columns), np.float32), hot.columns, hot.starts),
            shape=(hot.n_rows, hot.n_columns),
        )
        shared: NDArray[np.float32] = (matrix.T @ matrix).toarray()
        np.fill_diagonal(shared, 0)
        return shared

    def _genre_means(self, feature: str) -> NDArray[np.floating]:
        """Return a feature's mean over the tracks of each genre, NaN where no track tells."""
        hot = self.content.genres
        column = AUDIO_FEATURES.index(feature)
        # What is unknown stands at the mean, which is 0 here.
        values = self.content.audio[:, column]
        owner = np.repeat(np.arange(hot.n_rows), np.diff(hot.starts))
        known = (values != 0).astype(np.float32)
        sums = np.bincount(hot.columns, values[owner], minlength=hot.n_columns)
        counts = np.bincount(hot.columns, known[owner], minlength=hot.n_columns)
        levels = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        return levels * self.content.audio_scale[column] + self.content.audio_mean[column]


def _distance_to_mood(content: ContentFeatures, mood: tuple[float, float]) -> NDArray[np.float32]:
    nothing = np.empty(0, np.intp)
    wanted = content_profile(content, nothing, nothing.astype(np.float32), StatedTaste(mood=mood))
    distance = audio_distance(content.audio, wanted)
    return distance / max(float(distance.std()), 1e-9)


N_RELATED = 5
"""Genres named as related to one."""


def _rounded(value: np.floating) -> float | None:
    return None if np.isnan(value) else round(float(value), 3)


def read_catalogue(version: int) -> Catalogue:
    """Read every active track; four queries, five where plays were counted."""
    tracks = list(
        Track.objects.active()
        .order_by("pk")
        .values_list(
            "pk",
            "track_id",
            "name",
            "artist_id",
            "artist__name",
            "album",
            "year",
            "duration_ms",
            "popularity",
            "cover_url",
            "preview_url",
            *AUDIO_FEATURES,
        )
    )
    pks = np.array([track[0] for track in tracks], np.int64)
    artists = np.array([track[3] for track in tracks], np.int64)
    artist_pks, first, artist_rows = np.unique(artists, return_index=True, return_inverse=True)
    popularity, is_counted = _popularity(pks, [track[8] for track in tracks])
    audio = np.array([track[11:] for track in tracks], float).reshape(-1, len(AUDIO_FEATURES))
    return Catalogue(
        version=version,
        pks=pks,
        track_ids=[track[1] for track in tracks],
        names=[track[2] for track in tracks],
        artist_rows=artist_rows.astype(np.int32),
        artist_names=[tracks[i][4] for i in first],
        artist_pks=artist_pks,
        facts=[TrackFacts(*track[5:9], track[9] or None, track[10] or None) for track in tracks],
        popularity=popularity,
        is_popularity_counted=is_counted,
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


def _popularity(
    pks: NDArray[np.int64], declared: list[int | None]
) -> tuple[NDArray[np.float32], bool]:
    """Return each track's popularity in [0, 1], and whether listeners were counted for it."""
    counts = dict(
        PlayCount.objects.values_list("track_id")
        .annotate(n=Count("pk"))
        .values_list("track_id", "n")
    )
    if not counts:
        return np.array([(value or 0) / 100 for value in declared], np.float32), False
    n_listeners = PlayCount.objects.values("listener_id").distinct().count()
    listeners = np.array([counts.get(pk, 0) for pk in pks.tolist()], np.float32)
    return listeners / max(n_listeners, 1), True
