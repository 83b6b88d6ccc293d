"""The blend of several ways to score: each standardised per listener, then a weighted sum.

Weights are learned on held-out responses at training time, so that what they reward is the future
of a listener and not the fit to its past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recommendations.core.arrays import Floats

COMPONENTS = ("neural", "item_to_item", "content", "popularity")


@dataclass(frozen=True)
class Blend:
    """Weight of each component of `hybrid_ensemble`, per standard deviation of its scores."""

    neural: float = 1.0
    item_to_item: float = 1.0
    content: float = 0.0
    popularity: float = 0.0

    def __call__(self, components: Mapping[str, Floats], moments: Mapping[str, Moments]) -> Floats:
        """Return the blended score of each track."""
        total: Floats | None = None
        for name, scores in components.items():
            weight = getattr(self, name) / moments[name].deviation
            part = (scores - moments[name].mean) * np.float32(weight)
            total = part if total is None else total + part
        if total is None:
            raise ValueError("a blend needs at least one component, got none")
        return total


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of one component's scores over the catalogue, one listener."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, scores: Floats) -> Moments:
        """Return the moments; scores that are all alike get a deviation of 1."""
        deviation = float(scores.std(dtype=np.float64))
        return cls(float(scores.mean(dtype=np.float64)), deviation if deviation > 1e-9 else 1.0)
