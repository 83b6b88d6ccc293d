"""A listener's embedding from what they responded to, the tracks' embeddings held fixed.

The embedding is the ridge regression that alternating least squares for implicit feedback solves
for a user (Hu, Koren & Volinsky, ICDM 2008), with the regularization that grows with the amount of
data (Rendle et al., RecSys 2022).  Training solves the same equation for its own listeners, so
folding in a known listener gives the embedding used in training, and no table of listeners is
needed to serve.

For a listener with history H the embedding u minimises

    sum_{i in H} w_i (t_i - u.q_i)^2 + alpha sum_{all i} (u.q_i)^2
        + lambda (sum_{i in H} w_i + alpha n) |u - m|^2

with q the track embeddings, t_i the `affinity` of preference i and m the prior mean: the average
listener, or one who would state the same taste.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import AnyRows, Floats, Table

PSEUDO_WEIGHT = 3.0
"""A stated taste weighs as much as this many tracks."""


def affinity(preferences: NDArray[np.floating]) -> Floats:
    """Return the target that a preference sets: 1 for loved, 0.25 for neutral, -0.5 for rejected.

    The target of a track never met is 0: having chosen to play something lukewarm still says more
    than nothing, and a rejection pushes below what is unknown.
    """
    return (1.5 * np.asarray(preferences, np.float32) - 0.5).astype(np.float32)


@dataclass(frozen=True, eq=False)
class FoldIn:
    """What fold-in needs of the tracks, computed once.

    Attributes:
        embeddings: track embeddings, shape (n_tracks, dim), float32 or float16.
        gram: their Gram matrix, `embeddings.T @ embeddings`, shape (dim, dim).
        prior_mean: embedding of the average listener, shape (dim,).
        unobserved_weight: alpha, the weight of a track never met relative to one in the history.
        regularization: lambda.
    """

    embeddings: Table
    gram: Floats
    prior_mean: Floats
    unobserved_weight: float
    regularization: float

    def embedding(
        self,
        track_rows: AnyRows,
        preferences: NDArray[np.floating],
        *,
        weights: NDArray[np.floating] | None = None,
        prior_mean: Floats | None = None,
    ) -> Floats:
        """Return the embedding of a listener, shape (dim,); the prior mean for no history.

        Deterministic; O(len(track_rows) * dim^2 + dim^3).

        Args:
            track_rows: tracks responded to, shape (n,).
            preferences: in [0, 1], shape (n,).
            weights: how much each counts, shape (n,); 1 where not given.
            prior_mean: shape (dim,); the average listener where not given.

        Raises:
            ValueError: rows and preferences differ in length.
        """
        if len(track_rows) != len(preferences):
            raise ValueError(f"{len(track_rows)} tracks but {len(preferences)} preferences")
        mean = self.prior_mean if prior_mean is None else prior_mean
        if not len(track_rows):
            return mean.copy()
        return solve_embedding(
            self.embeddings[track_rows].astype(np.float32),
            affinity(preferences),
            weights=weights,
            unobserved=self.unobserved_weight * self.gram,
            n_unobserved=self.unobserved_weight * len(self.embeddings),
            regularization=self.regularization,
            prior_mean=mean,
        )

    def from_pseudo_tracks(self, embeddings: Floats) -> Floats:
        """Return the embedding of one who loved tracks that are not in the catalogue.

        Args:
            embeddings: of those tracks, shape (n, dim).
        """
        return solve_embedding(
            embeddings,
            np.ones(len(embeddings), np.float32),
            weights=np.full(len(embeddings), PSEUDO_WEIGHT, np.float32),
            unobserved=self.unobserved_weight * self.gram,
            n_unobserved=self.unobserved_weight * len(self.embeddings),
            regularization=self.regularization,
            prior_mean=self.prior_mean,
        )

    def contributions(
        self, track_rows: AnyRows, preferences: NDArray[np.floating], factors: Floats
    ) -> Floats:
        """Return what each history track adds to the embedding's dot products, shape (n, k).

        The embedding is linear in the targets, so it is the sum of the history's parts (and the
        prior's).

        Args:
            track_rows: the history, shape (n,).
            preferences: in [0, 1], shape (n,).
            factors: what the embedding is multiplied with, shape (k, dim).
        """
        history = self.embeddings[track_rows].astype(np.float32)
        system = self.unobserved_weight * self.gram + history.T @ history
        n = len(history) + self.unobserved_weight * len(self.embeddings)
        system.flat[:: len(system) + 1] += self.regularization * n
        # The system is symmetric, so it may be solved for the few factors, not the whole history.
        parts: Floats = (history @ np.linalg.solve(system, factors.T)).astype(np.float32)
        return parts * affinity(preferences)[:, None]


def solve_embedding(
    embeddings: Floats,
    targets: Floats,
    *,
    weights: NDArray[np.floating] | None,
    unobserved: Floats,
    n_unobserved: float,
    regularization: float,
    prior_mean: Floats,
) -> Floats:
    """Solve one side of the factorization for one row; see the module's formula.

    Args:
        embeddings: of the observed counterparts, shape (n, dim).
        targets: shape (n,).
        weights: shape (n,), 1 where None.
        unobserved: alpha times the Gram matrix of all counterparts, shape (dim, dim).
        n_unobserved: alpha times the number of all counterparts.
        regularization: lambda.
        prior_mean: shape (dim,).
    """
    weighted = embeddings if weights is None else embeddings * weights[:, None]
    n_observed = float(len(embeddings)) if weights is None else float(weights.sum())
    strength = regularization * (n_observed + n_unobserved)
    system = unobserved + weighted.T @ embeddings
    system.flat[:: len(system) + 1] += strength
    right = weighted.T @ targets + strength * prior_mean
    solution: Floats = np.linalg.solve(system, right).astype(np.float32)
    return solution
