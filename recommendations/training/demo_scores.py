"""Expected ratings on the demo's simulated world, beside what its own noise leaves to anybody."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from recommendations.core.content import AUDIO_FEATURES
from recommendations.core.interactions import Interactions, split_validation
from recommendations.core.world import HistoryEvent, World, WorldCatalogue, demo_history
from recommendations.training.catalogue_file import CatalogueFile, read_catalogue_file
from recommendations.training.fit import FitConfig, fit
from recommendations.training.selection import Progress

N_JUDGED = 3000
"""Responses that the floor is computed over."""


def measure_demo(
    tracks: Path,
    moods: Mapping[str, tuple[float, float]],
    *,
    n_listeners: int,
    days: int,
    met: tuple[int, int],
    seed: int,
    world_seed: int,
    progress: Progress = lambda report: None,
) -> dict[str, float]:
    """Return validation errors of a training on a simulated world, and the floor under them.

    Both are of ratings, on the preference scale [0, 1].  The floor is the mean absolute error of a
    predictor that knows every listener's taste, but not the situation: that is not part of what
    a model learns from.

    Args:
        tracks: the demo's catalogue.
        moods: valence and arousal of each mood.
        n_listeners: how many are simulated.
        days: how long they listen.
        met: different tracks that the least and the most active one meet.
        seed: of the training.
        world_seed: of the world.
        progress: as `fit`.
    """
    catalogue = read_catalogue_file(tracks)
    world = World.simulate(n_listeners, world_seed, world_catalogue(catalogue), moods)
    events = demo_history(world, np.random.default_rng(world_seed + 1), days, met=met)
    interactions = interactions_of(events, n_listeners, len(catalogue.track_ids))
    fitted = fit(interactions, catalogue.content, seed=seed, progress=progress)
    judged = _rated_newest(events, interactions)
    floor = world.noise_floor(judged, situation_known=False)
    return {
        "mae": fitted.metrics["mae"],
        "noise_floor": floor,
        "mae_over_floor": fitted.metrics["mae"] / floor,
        "expected_calibration_error": fitted.metrics["expected_calibration_error"],
        "n_parameters": float(fitted.n_parameters),
        "listeners": float(n_listeners),
        "tracks": float(len(catalogue.track_ids)),
        "responses": float(len(events)),
    }


def world_catalogue(catalogue: CatalogueFile) -> WorldCatalogue:
    """Return the catalogue as the world takes it."""
    names = sorted({genre for track in catalogue.genres for genre in track})
    genres = np.zeros((len(catalogue.genres), len(names)))
    for row, track in enumerate(catalogue.genres):
        genres[row, [names.index(genre) for genre in track]] = 1
    audio = np.nan_to_num(catalogue.audio, nan=0.5)
    return WorldCatalogue(
        genres=genres,
        artist=np.unique(catalogue.artists, return_inverse=True)[1].astype(np.int64),
        energy=audio[:, AUDIO_FEATURES.index("energy")],
        valence=audio[:, AUDIO_FEATURES.index("valence")],
        popularity=catalogue.popularity,
        duration_s=catalogue.duration_ms / 1000,
    )


def interactions_of(events: list[HistoryEvent], n_listeners: int, n_tracks: int) -> Interactions:
    """Return what the listeners did as training reads it from the database."""
    ratings = [e.outcome.value if e.outcome.kind == "rating" else np.nan for e in events]
    return Interactions.build(
        np.array([event.listener for event in events]),
        np.array([event.track_row for event in events]),
        n_users=n_listeners,
        n_tracks=n_tracks,
        preference=np.array([event.outcome.preference for event in events]),
        rating=np.array(ratings),
        time=np.array([event.time_s for event in events]),
    )


def _rated_newest(events: list[HistoryEvent], interactions: Interactions) -> list[tuple]:
    """Return (listener, track row, situation) of ratings like those that validation holds out."""
    config = FitConfig()
    _, held_out = split_validation(
        interactions,
        rng=np.random.default_rng(0),
        per_user=int(np.clip(config.validation_pairs // interactions.n_users, 1, 10)),
        max_users=config.validation_pairs,
        newest=config.newest,
    )
    rated = held_out.take(~np.isnan(held_out.rating))
    pairs = set(zip(rated.user_rows.tolist(), rated.track_rows.tolist(), strict=True))
    return [
        (event.listener, event.track_row, event.situation)
        for event in events
        if (event.listener, event.track_row) in pairs
    ][:N_JUDGED]
