"""A catalogue of 60 tracks whose listeners keep to one genre each, and a model trained on it.

``python -m recommendations.tests.small_world FOLDER`` trains and saves the model; it knows tracks
by their number, 0 to 59.
"""

import sys
from pathlib import Path

import numpy as np

from recommendations.core.content import AUDIO_FEATURES, ContentFeatures
from recommendations.core.interactions import Interactions

N_TRACKS = 60
N_LISTENERS = 40
GENRES = ("jazz", "rock", "techno")
_ENERGY = {"jazz": 0.2, "rock": 0.6, "techno": 0.9}


def genre_of(number: int) -> str:
    """Return the genre of a track."""
    return GENRES[number % len(GENRES)]


def artist_of(number: int) -> str:
    """Return the artist of a track; each has two tracks of one genre."""
    return f"Artist {number % (N_TRACKS // 2)}"


def audio_of(number: int) -> dict[str, float]:
    """Return a track's audio features, its energy that of its genre."""
    rng = np.random.default_rng(number)
    values = dict(zip(AUDIO_FEATURES, rng.uniform(0, 1, len(AUDIO_FEATURES)), strict=True))
    energy = _ENERGY[genre_of(number)] + rng.uniform(-0.1, 0.1)
    return {**values, "energy": energy, "loudness_db": -5 - 10 * values["loudness_db"]}


def content() -> ContentFeatures:
    """Return the content of all tracks."""
    audio = np.array([list(audio_of(number).values()) for number in range(N_TRACKS)])
    return ContentFeatures.build([[genre_of(number)] for number in range(N_TRACKS)], audio)


def interactions() -> Interactions:
    """Return twelve liked and three disliked tracks of each listener, rated."""
    rng = np.random.default_rng(7)
    genre = np.arange(N_TRACKS) % len(GENRES)
    users, tracks, ratings = [], [], []
    for user in range(N_LISTENERS):
        inside = rng.choice(np.flatnonzero(genre == user % len(GENRES)), 12, replace=False)
        outside = rng.choice(np.flatnonzero(genre != user % len(GENRES)), 3, replace=False)
        users += [user] * 15
        tracks += [*inside, *outside]
        ratings += [*rng.integers(4, 6, 12), *rng.integers(1, 3, 3)]
    return Interactions.build(
        np.array(users),
        np.array(tracks),
        n_users=N_LISTENERS,
        n_tracks=N_TRACKS,
        rating=np.array(ratings, float),
    )


def train(folder: Path) -> None:
    """Train a small model and save it in `folder`, which must not exist."""
    from recommendations.core.artefact import save
    from recommendations.training.batches import BatchConfig
    from recommendations.training.factorization import FactorizationConfig
    from recommendations.training.fit import FitConfig, fit
    from recommendations.training.network import NetworkConfig
    from recommendations.training.network_training import OptimizerConfig

    config = FitConfig(
        factorization=FactorizationConfig(dim=8, sweeps=4),
        network=NetworkConfig(history_dim=8, layers=(8,)),
        batches=BatchConfig(users_per_batch=16, negatives=16),
        optimizer=OptimizerConfig(min_epochs=4, max_epochs=6, check_every=2),
        validation_pairs=2 * N_LISTENERS,
    )
    save(folder, fit(interactions(), content(), config=config, seed=1).model)


if __name__ == "__main__":
    train(Path(sys.argv[1]))
