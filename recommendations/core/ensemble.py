"""The blend of several ways to score: each standardised per listener, then a weighted sum.

Weights are learned on held-out responses at training time, so that what they reward is the future
of a listener and not the fit to its past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recommendations.core.arrays import Floats, SparseVector

COMPONENTS = ("neural", "item_to_item", "content", "popularity")


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of one component's scores over the catalogue, one listener."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, scores: Floats) -> Moments:
        """Return the moments; scores that are all alike get a deviation of 1."""
        exact = scores.astype(np.float64)
        mean = float(exact.sum()) / len(exact)
        exact -= mean
        return cls._from(mean, float(exact @ exact) / len(exact))

    @classmethod
    def of_sparse(cls, scores: SparseVector) -> Moments:
        """Return the moments of a vector that is mostly 0."""
        mean = float(scores.values.sum()) / scores.length
        square = float(scores.values @ scores.values) / scores.length
        return cls._from(mean, square - mean**2)

    @classmethod
    def _from(cls, mean: float, variance: float) -> Moments:
        return cls(mean, float(np.sqrt(variance)) if variance > 1e-12 else 1.0)


@dataclass(frozen=True)
class Blend:
    """Weight of each component of `hybrid_ensemble`, per standard deviation of its scores."""

    neural: float = 1.0
    item_to_item: float = 1.0
    content: float = 0.0
    popularity: float = 0.0

    def __call__(self, components: Mapping[str, Floats], moments: Mapping[str, Moments]) -> Floats:
        """Return the blended score of each track.

        Raises:
            ValueError: no component.
        """
        if not components:
            raise ValueError("a blend needs at least one component, got none")
        total = np.zeros(len(next(iter(components.values()))), np.float32)
        for name, scores in components.items():
            weight = np.float32(getattr(self, name) / moments[name].deviation)
            if weight:
                total += (scores - np.float32(moments[name].mean)) * weight
        return total
