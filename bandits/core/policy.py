"""Policies: from a context and the eligible arms to a probability for each of them.

All share one interface, so that a service, a test or a benchmark can put any in another's place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bandits.core.probabilities import probabilities_of_being_best, with_floor

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Distribution:
    """The probabilities of one decision, with the scores that they follow from.

    Attributes:
        arms: the eligible arms, in the order of the arrays.
        probabilities: with the floor, shape (n_arms,), sum 1.
        means: of the scores, shape (n_arms,), or empty where the policy has no scores.
        sds: standard deviations of the scores as drawn from, same shape.
        floor: below which no probability is.
    """

    arms: tuple[str, ...]
    probabilities: Floats
    means: Floats
    sds: Floats
    floor: float


class Policy(Protocol):
    """Whatever can say with what probability it would choose each arm."""

    def distribution(self, x: Floats, eligible: Sequence[str]) -> Distribution:
        """Return the probabilities over `eligible` in the context `x`, intercept included.

        Raises:
            ValueError: no arm is eligible, or one is unknown.
        """
        ...


class Posterior(Protocol):
    """Normal belief about the weights whose product with the context scores an arm."""

    @property
    def mean(self) -> Floats:
        """Shape (dim,)."""
        ...

    @property
    def covariance(self) -> Floats:
        """Shape (dim, dim)."""
        ...


def replay(means: Floats, sds: Floats, *, n_arms: int, floor: float) -> Floats:
    """Return the probabilities that follow from logged scores; uniform where there are none."""
    if len(means) == 0:
        return np.full(n_arms, 1 / n_arms)
    return with_floor(probabilities_of_being_best(means, sds), floor)


@dataclass(frozen=True)
class Uniform:
    """Every eligible arm alike."""

    def distribution(self, x: Floats, eligible: Sequence[str]) -> Distribution:
        """Return 1 / n for each of the n eligible arms."""
        arms = _checked(eligible)
        none = np.zeros(0)
        return Distribution(arms, replay(none, none, n_arms=len(arms), floor=0), none, none, 0.0)


@dataclass(frozen=True, eq=False)
class ThompsonSampling:
    """Each arm with the probability that it is the best, as far as is known (Thompson 1933).

    Attributes:
        posteriors: per arm, linear or logistic.
        floor: least probability of an eligible arm, so that every arm stays comparable offline.
        exploration: factor on the standard deviations; 1 is Thompson's rule, less is greedier and
            loses less where contexts vary by themselves (benchmarks/bandits.py; Chapelle and Li,
            NeurIPS 2011, figure 2).
    """

    posteriors: Mapping[str, Posterior]
    floor: float = 0.02
    exploration: float = 0.1
    _index: dict[str, int] = field(init=False, repr=False)
    _means: Floats = field(init=False, repr=False)
    _covariances: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.posteriors:
            raise ValueError("posteriors must not be empty")
        if not self.exploration > 0:
            raise ValueError(f"exploration must be > 0, got {self.exploration}")
        if not 0 <= self.floor <= 1:
            raise ValueError(f"floor must be in [0, 1], got {self.floor}")
        # Stacked once, so that a decision is two products.
        object.__setattr__(self, "_index", {arm: i for i, arm in enumerate(self.posteriors)})
        beliefs = self.posteriors.values()
        object.__setattr__(self, "_means", np.stack([belief.mean for belief in beliefs]))
        covariances = np.stack([belief.covariance for belief in beliefs])
        object.__setattr__(self, "_covariances", covariances)

    def scores(self, x: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of each arm's score in the context `x`.

        Raises:
            ValueError: an arm is unknown, or `x` has another length than the posteriors.
        """
        unknown = [arm for arm in arms if arm not in self._index]
        if unknown:
            raise ValueError(f"unknown arms {unknown}; known are {sorted(self._index)}")
        if x.shape != self._means.shape[1:]:
            raise ValueError(f"context must have shape {self._means.shape[1:]}, got {x.shape}")
        rows = [self._index[arm] for arm in arms]
        variances = (self._covariances[rows] @ x) @ x
        return self._means[rows] @ x, self.exploration * np.sqrt(variances)

    def distribution(self, x: Floats, eligible: Sequence[str]) -> Distribution:
        """Return the exact probability of each eligible arm being the best, with the floor."""
        arms = _checked(eligible)
        means, sds = self.scores(x, arms)
        probabilities = replay(means, sds, n_arms=len(arms), floor=self.floor)
        return Distribution(arms, probabilities, means, sds, self.floor)


def _checked(eligible: Sequence[str]) -> tuple[str, ...]:
    if not eligible or len(set(eligible)) != len(eligible):
        raise ValueError(f"eligible arms must be distinct and not none, got {list(eligible)}")
    return tuple(eligible)
