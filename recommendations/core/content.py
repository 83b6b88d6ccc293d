"""What tracks are like: genres and audio features, and how well they fit a listener.

Everything here works for a track that nobody has heard and for a listener who has only stated a
taste.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import AnyRows, Floats, SparseRows

AUDIO_FEATURES = (
    "danceability",
    "energy",
    "valence",
    "acousticness",
    "liveness",
    "speechiness",
    "loudness_db",
    "tempo_bpm",
)
_ENERGY = AUDIO_FEATURES.index("energy")
_VALENCE = AUDIO_FEATURES.index("valence")


@dataclass(frozen=True, eq=False)
class ContentFeatures:
    """The catalogue's content, a row per track.

    Attributes:
        genres: which genres each track has, shape (n_tracks, n_genres), values 1 / sqrt(number
            of the track's genres), so that each track's genres have length one.
        genre_names: name of each genre, in the order of the columns.
        audio: audio features in units of their standard deviation about their mean, shape
            (n_tracks, len(AUDIO_FEATURES)), 0 where unknown.
        audio_mean: mean of each feature in its own unit.
        audio_scale: standard deviation of each feature in its own unit, positive.
    """

    genres: SparseRows
    genre_names: tuple[str, ...]
    audio: Floats
    audio_mean: Floats
    audio_scale: Floats

    def __post_init__(self) -> None:
        if self.genres.n_columns != len(self.genre_names):
            raise ValueError(
                f"{self.genres.n_columns} genre columns but {len(self.genre_names)} genre names"
            )
        if self.audio.shape != (self.genres.n_rows, len(AUDIO_FEATURES)):
            raise ValueError(
                f"audio has shape {self.audio.shape}, expected "
                f"({self.genres.n_rows}, {len(AUDIO_FEATURES)})"
            )

    @classmethod
    def build(
        cls,
        genres: Sequence[Sequence[str]],
        audio: NDArray[np.floating] | None = None,
        *,
        genre_names: Sequence[str] | None = None,
    ) -> ContentFeatures:
        """Encode each track's genres and audio features (in their own units, NaN if unknown).

        Genres are those of the tracks in alphabetical order unless `genre_names` fixes them.

        Raises:
            ValueError: a genre outside `genre_names`, or `audio` of the wrong shape.
        """
        names = tuple(genre_names or sorted({name for track in genres for name in track}))
        column = {name: i for i, name in enumerate(names)}
        unknown = {name for track in genres for name in track} - column.keys()
        if unknown:
            raise ValueError(f"genres not in genre_names: {sorted(unknown)[:5]}")
        hot = SparseRows.from_lists(([column[g] for g in track] for track in genres), len(names))
        lengths = np.diff(hot.starts)
        values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float16)
        raw = np.full((len(genres), len(AUDIO_FEATURES)), np.nan) if audio is None else audio
        known = ~np.isnan(raw)
        n_known = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, raw, 0).sum(axis=0) / n_known
        spread = np.sqrt(np.where(known, (raw - mean) ** 2, 0).sum(axis=0) / n_known)
        scale = np.where(spread > 1e-6, spread, 1.0)
        return cls(
            genres=SparseRows(hot.starts, hot.columns, values, len(names)),
            genre_names=names,
            audio=np.where(known, (raw - mean) / scale, 0).astype(np.float32),
            audio_mean=mean.astype(np.float32),
            audio_scale=scale.astype(np.float32),
        )

    @classmethod
    def empty(cls, n_tracks: int) -> ContentFeatures:
        """Return the content of a catalogue of which nothing is known."""
        return cls.build([()] * n_tracks)

    @property
    def n_tracks(self) -> int:
        """Number of tracks."""
        return self.genres.n_rows

    @cached_property
    def is_known(self) -> bool:
        """Whether anything is known of any track's content."""
        return bool(len(self.genres.columns)) or bool(np.any(self.audio))

    @property
    def n_features(self) -> int:
        """Length of a content vector: genres, then audio features."""
        return len(self.genre_names) + len(AUDIO_FEATURES)

    def vectors(self, rows: AnyRows) -> Floats:
        """Return the dense content vectors of some tracks, shape (n_rows, n_features)."""
        dense = np.zeros((len(rows), self.n_features), np.float32)
        position, owner = self.genres.entries_of(rows)
        dense[owner, self.genres.columns[position]] = self.genres.values[position]
        dense[:, len(self.genre_names) :] = self.audio[rows]
        return dense


@dataclass(frozen=True)
class StatedTaste:
    """What a listener says of themselves; any part may be missing.

    Attributes:
        genres: names of genres; those the catalogue lacks are ignored.
        energy: wanted energy, 0 calm to 1 intense.
        mood: wanted (valence, arousal), each 0 to 1; arousal is matched to energy.
    """

    genres: tuple[str, ...] = ()
    energy: float | None = None
    mood: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.energy is not None and not 0 <= self.energy <= 1:
            raise ValueError(f"energy must lie in [0, 1], got {self.energy}")
        if self.mood is not None and not all(0 <= value <= 1 for value in self.mood):
            raise ValueError(f"mood must lie in [0, 1] twice, got {self.mood}")

    def __bool__(self) -> bool:
        return bool(self.genres) or self.energy is not None or self.mood is not None


@dataclass(frozen=True, eq=False)
class ContentProfile:
    """A listener's taste in terms of content.

    Attributes:
        genres: liking of each genre, shape (n_genres,), negative where it was rejected; length
            at most one.
        audio: wanted audio features, standardised, shape (len(AUDIO_FEATURES),).
        audio_strength: how much each feature matters, 0 (nothing known) to 1, same shape.
    """

    genres: Floats
    audio: Floats
    audio_strength: Floats


STATED_WEIGHT = 3.0
"""A stated taste counts as much as this many tracks that were loved."""


def content_profile(
    content: ContentFeatures,
    track_rows: AnyRows,
    preferences: NDArray[np.floating],
    stated: StatedTaste = StatedTaste(),
) -> ContentProfile:
    """Return the profile that a history and a stated taste give together.

    A track counts by how far its preference lies from neutral, so that a rejected track takes
    its genres down; only liked tracks say which audio features are wanted.  A wanted feature
    matters the more, the more evidence there is and the less the liked tracks vary in it.
    """
    pull = 2 * np.asarray(preferences, np.float32) - 1
    # Having chosen to play something lukewarm is weak evidence for its content, not none.
    pull = np.where(pull >= 0, 0.25 + 0.75 * pull, pull)
    genres = content.genres.pooled(track_rows, pull)
    likes = np.maximum(pull, 0)
    total = float(likes.sum())
    n_audio = len(AUDIO_FEATURES)
    evidence = np.full(n_audio, total, np.float32)
    liked_audio = content.audio[track_rows]
    audio_sum = likes @ liked_audio if len(track_rows) else np.zeros(n_audio, np.float32)
    for name in stated.genres:
        if name in content.genre_names:
            genres[content.genre_names.index(name)] += STATED_WEIGHT / np.sqrt(len(stated.genres))
    for feature, wanted in _stated_audio(stated).items():
        level = (wanted - content.audio_mean[feature]) / content.audio_scale[feature]
        audio_sum[feature] += STATED_WEIGHT * level
        evidence[feature] += STATED_WEIGHT
    audio = audio_sum / np.maximum(evidence, 1e-6)
    deviation = (liked_audio - audio) ** 2
    spread = (likes @ deviation + STATED_WEIGHT) / (total + STATED_WEIGHT)
    strength = evidence / (evidence + STATED_WEIGHT) / (1 + spread)
    length = float(np.linalg.norm(genres))
    return ContentProfile(
        genres=(genres / max(length, 1.0)).astype(np.float32),
        audio=audio.astype(np.float32),
        audio_strength=strength.astype(np.float32),
    )


def content_scores(
    content: ContentFeatures, profile: ContentProfile, rows: AnyRows | None = None
) -> Floats:
    """Return how well each track (or each of `rows`) fits: genre cosine less audio distance.

    The cosine lies in [-1, 1]; the distance, the mean over features of the squared difference in
    standard deviations weighted by how much the feature matters, is at least 0 and usually
    below 1.
    """
    genre_match = content.genres.dot(profile.genres, rows)
    audio = content.audio if rows is None else content.audio[rows]
    return genre_match - audio_distance(audio, profile)


def audio_distance(audio: Floats, profile: ContentProfile) -> Floats:
    """Return the weighted mean squared difference in audio features, shape (n_tracks,)."""
    weights = profile.audio_strength / len(AUDIO_FEATURES)
    # |a - p|^2 expanded, so that a million tracks need no temporary of their size times eight.
    distance = (audio * audio) @ weights - 2 * (audio @ (weights * profile.audio))
    return np.maximum(distance + float(weights @ profile.audio**2), 0).astype(np.float32)


def matching_genres(
    content: ContentFeatures, profile: ContentProfile, track_row: int, *, limit: int = 3
) -> list[str]:
    """Return the track's genres that the listener likes, most liked first."""
    columns, _ = content.genres.row(track_row)
    liked = [(float(profile.genres[c]), content.genre_names[c]) for c in columns]
    return [name for value, name in sorted(liked, key=lambda x: (-x[0], x[1])) if value > 0][:limit]


def _stated_audio(stated: StatedTaste) -> Mapping[int, float]:
    wanted: dict[int, float] = {}
    if stated.mood is not None:
        wanted[_VALENCE], wanted[_ENERGY] = stated.mood
    if stated.energy is not None:
        wanted[_ENERGY] = stated.energy
    return wanted
