"""Tracks, listeners and the situations they meet in, as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_ARCHETYPES = 10
N_HIDDEN = 4
N_FAVOURITES = 5


@dataclass(frozen=True, eq=False)
class WorldCatalogue:
    """What the world knows of the tracks; row t of each array is one track.

    Attributes:
        genres: which genres a track has, shape (n_tracks, n_genres), 0 or 1; a row may be empty.
        artist: artist number per track, 0 to n_artists - 1.
        energy: in [0, 1].
        valence: in [0, 1].
        popularity: any scale, higher is better known.
        duration_s: length in seconds, above 0.
    """

    genres: Floats
    artist: Ints
    energy: Floats
    valence: Floats
    popularity: Floats
    duration_s: Floats

    def __post_init__(self) -> None:
        n_tracks = len(self.artist)
        if self.genres.ndim != 2 or n_tracks == 0:
            raise ValueError(f"genres must be (n_tracks > 0, n_genres), got {self.genres.shape}")
        for name in ("genres", "energy", "valence", "popularity", "duration_s"):
            values = getattr(self, name)
            if len(values) != n_tracks:
                raise ValueError(f"{name} has {len(values)} rows, artist has {n_tracks}")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} has a value that is not finite")


@dataclass(frozen=True)
class Situation:
    """When, on what and in which mood somebody listens.

    Attributes:
        hour: local time of day in [0, 24).
        weekday: 0 for Monday to 6.
        device: one of the API's device types.
        mood: the mood the listener is really in, or None for none in particular.
        mood_is_stated: whether the listener tells the system; the world reacts to `mood` either
            way.
    """

    hour: float
    weekday: int
    device: str
    mood: str | None = None
    mood_is_stated: bool = False


@dataclass(frozen=True, eq=False)
class Listeners:
    """Tastes; row i of each array is one listener.

    Attributes:
        affinity: per genre, shape (n, n_genres), mean 0 and variance 1 per listener.
        hidden: hidden factors, shape (n, N_HIDDEN).
        energy: preferred energy in [0, 1].
        valence: preferred valence in [0, 1].
        adventurousness: in [0, 1].
        activity: sessions per day, above 0.
        peak_hour: hour of day most listened at, in [0, 24).
        favourites: artist numbers, shape (n, at most N_FAVOURITES).
    """

    affinity: Floats
    hidden: Floats
    energy: Floats
    valence: Floats
    adventurousness: Floats
    activity: Floats
    peak_hour: Floats
    favourites: Ints


def draw_listeners(
    n: int, catalogue: WorldCatalogue, track_hidden: Floats, rng: np.random.Generator
) -> Listeners:
    """Draw `n` listeners; those with like tastes come from the same few archetypes."""
    genres = catalogue.genres
    counts = genres.sum(axis=0)
    n_genres = len(counts)
    together = genres.T @ genres / np.sqrt(np.outer(counts, counts) + 1e-9)
    anchors = rng.choice(n_genres, size=N_ARCHETYPES, p=(counts + 1) / (counts + 1).sum())
    mixture = rng.dirichlet(np.full(N_ARCHETYPES, 0.35), size=n)
    affinity = mixture @ standardise(together[anchors])
    affinity = standardise(affinity + 0.35 * rng.standard_normal((n, n_genres)))

    taste = affinity @ genres.T / np.maximum(genres.sum(axis=1), 1.0)  # (n, n_tracks)
    liked = np.exp(1.5 * taste)
    liked /= liked.sum(axis=1, keepdims=True)
    hidden = rng.standard_normal((n, N_HIDDEN))
    lure = 2 * taste + hidden @ track_hidden.T + 2 * rng.gumbel(size=taste.shape)
    best = np.argsort(-lure, axis=1)[:, :N_FAVOURITES]
    return Listeners(
        affinity=affinity,
        hidden=hidden,
        energy=np.clip(liked @ catalogue.energy + 0.12 * rng.standard_normal(n), 0.05, 0.95),
        valence=np.clip(liked @ catalogue.valence + 0.12 * rng.standard_normal(n), 0.05, 0.95),
        adventurousness=rng.beta(2.0, 2.5, size=n),
        activity=rng.lognormal(mean=-0.4, sigma=0.5, size=n),
        peak_hour=rng.choice([8.0, 13.0, 17.5, 21.0], size=n, p=[0.2, 0.15, 0.3, 0.35]),
        favourites=catalogue.artist[best],
    )


def standardise(values: Floats) -> Floats:
    """Return `values` with mean 0 and variance 1 along the last axis; constants become 0."""
    centred = values - values.mean(axis=-1, keepdims=True)
    spread = values.std(axis=-1, keepdims=True)
    scaled: Floats = centred / np.where(spread > 0, spread, 1.0)
    return scaled
