"""Simulated worlds whose best arm is known, for tests and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class World:
    """Contexts in order of time, and what every arm would have earned in each.

    Attributes:
        contexts: uniform in [-1, 1], shape (n, 20).
        expected: mean reward of each arm in each context, shape (n, n_arms), in [0, 1].
        rewards: the reward each arm would have given, same shape.
    """

    contexts: Floats
    expected: Floats
    rewards: Floats

    @property
    def gaps(self) -> Floats:
        """Regret of each arm in each context, shape (n, n_arms), >= 0."""
        return np.asarray(self.expected.max(axis=1, keepdims=True) - self.expected)


def linear_world(
    rng: np.random.Generator, *, n: int, n_arms: int = 5, n_features: int = 20, drift: bool = False
) -> World:
    """Return a world of linear mean rewards around 0.5 and normal noise of sd 0.25.

    Slopes have a standard deviation of 0.2 / sqrt(n_features / 3), so that an arm's mean reward
    varies by about 0.2 over contexts; intercepts of 0.05.  With `drift` all weights are drawn
    anew half-way.
    """
    contexts = rng.uniform(-1, 1, (n, n_features))
    expected = np.empty((n, n_arms))
    for part in np.array_split(np.arange(n), 2 if drift else 1):
        slopes = rng.normal(0, 0.2 / np.sqrt(n_features / 3), (n_arms, n_features))
        intercepts = rng.normal(0.5, 0.05, n_arms)
        expected[part] = np.clip(contexts[part] @ slopes.T + intercepts, 0, 1)
    return World(contexts, expected, expected + rng.normal(0, 0.25, expected.shape))


def logistic_world(
    rng: np.random.Generator, *, n: int, n_arms: int = 5, n_features: int = 20
) -> World:
    """Return a world of rewards 0 or 1 whose log-odds are linear in the context.

    Log-odds vary by about 1 over contexts within an arm, and by 0.3 between arms.
    """
    contexts = rng.uniform(-1, 1, (n, n_features))
    slopes = rng.normal(0, 1 / np.sqrt(n_features / 3), (n_arms, n_features))
    intercepts = rng.normal(0, 0.3, n_arms)
    expected = expit(contexts @ slopes.T + intercepts)
    return World(contexts, expected, (rng.random(expected.shape) < expected).astype(float))
