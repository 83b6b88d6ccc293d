"""Alternating least squares: the pre-training of NeuMF's matrix-factorization branch.

He et al. (WWW 2017, section 3.4.1) initialise NeuMF from branches trained apart.  This one is
trained in closed form: each half step solves every row's ridge regression, which is also how a
listener is folded in at serving (`core.fold_in`).  Tracks are regularized towards a projection of
their content (regression-based latent factors, Agarwal & Chen, KDD 2009), so that one that nobody
has heard has an embedding too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from recommendations.core.arrays import Floats
from recommendations.core.fold_in import FoldIn, affinity, solve_embedding
from recommendations.core.interactions import Histories, Interactions


@dataclass(frozen=True)
class FactorizationConfig:
    """Settings of the factorization.

    Attributes:
        dim: number of factors.
        unobserved_weight: weight of a pair never met, relative to one observed.
        regularization: L2 per observed or (weighted) unobserved pair that touches an embedding.
        content_regularization: ridge penalty of the projection from content to embedding.
        sweeps: number of alternations.
    """

    dim: int = 64
    unobserved_weight: float = 0.1
    regularization: float = 0.01
    content_regularization: float = 10.0
    sweeps: int = 8


@dataclass(frozen=True, eq=False)
class Factorization:
    """Embeddings of listeners and tracks, and how they came about."""

    users: Floats  # (n_users, dim)
    tracks: Floats  # (n_tracks, dim)
    projection: Floats  # (n_features, dim), content to track embedding
    config: FactorizationConfig

    def fold_in(self) -> FoldIn:
        """Return what folding in further listeners needs."""
        return FoldIn(
            embeddings=self.tracks,
            gram=self.tracks.T @ self.tracks,
            prior_mean=self.users.mean(axis=0),
            unobserved_weight=self.config.unobserved_weight,
            regularization=self.config.regularization,
        )


def factorize(
    interactions: Interactions,
    features: sparse.csr_matrix,
    *,
    config: FactorizationConfig,
    rng: np.random.Generator,
    start: Factorization | None = None,
    on_sweep: Callable[[int], None] = lambda sweep: None,
) -> Factorization:
    """Factorize by alternating least squares, from `start` or small random embeddings.

    Args:
        interactions: training data.
        features: content of the tracks, shape (n_tracks, n_features).
        config: settings.
        rng: source of the first embeddings.
        start: an earlier factorization of the same listeners and tracks.
        on_sweep: called after each alternation with its number, from 1.
    """
    by_user = interactions.by_user()
    by_track = replace(
        interactions,
        user_rows=interactions.track_rows,
        track_rows=interactions.user_rows,
        n_users=interactions.n_tracks,
        n_tracks=interactions.n_users,
    ).by_user()
    scale = 0.1 / np.sqrt(config.dim)
    if start is None:
        tracks = rng.normal(0, scale, (interactions.n_tracks, config.dim)).astype(np.float32)
        projection = np.zeros((features.shape[1], config.dim), np.float32)
    else:
        tracks, projection = start.tracks, start.projection
    users = np.zeros((interactions.n_users, config.dim), np.float32)
    heard = np.diff(by_track.starts) > 0
    for sweep in range(1, config.sweeps + 1):
        mean = np.broadcast_to(users.mean(axis=0), users.shape)
        users = _solve_all(by_user, tracks, mean, config)
        tracks = _solve_all(by_track, users, features @ projection, config)
        projection = _project(features, tracks, heard, config)
        on_sweep(sweep)
    tracks[~heard] = (features @ projection)[~heard]
    users = _solve_all(by_user, tracks, np.broadcast_to(users.mean(axis=0), users.shape), config)
    return Factorization(users=users, tracks=tracks, projection=projection, config=config)


def _solve_all(
    histories: Histories, others: Floats, prior: Floats, config: FactorizationConfig
) -> Floats:
    """Solve every row of one side, the other fixed; a row without data gets its prior."""
    unobserved = config.unobserved_weight * (others.T @ others)
    solved = prior.copy()
    for row in range(len(histories)):
        mine = slice(histories.starts[row], histories.starts[row + 1])
        if mine.stop > mine.start:
            solved[row] = solve_embedding(
                others[histories.track_rows[mine]],
                affinity(histories.preference[mine]),
                weights=histories.weight[mine],
                unobserved=unobserved,
                n_unobserved=config.unobserved_weight * len(others),
                regularization=config.regularization,
                prior_mean=prior[row],
            )
    return solved


def _project(
    features: sparse.csr_matrix, tracks: Floats, heard: np.ndarray, config: FactorizationConfig
) -> Floats:
    """Return the ridge regression from content to the embeddings of the tracks heard."""
    known = features[heard]
    system = (known.T @ known).toarray()
    system.flat[:: len(system) + 1] += config.content_regularization
    return np.linalg.solve(system, known.T @ tracks[heard]).astype(np.float32)
