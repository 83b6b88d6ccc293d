"""Honest scores: the expected rating, and the probability of being within one star of it.

Both are fitted on held-out responses.  The expected rating is an isotonic regression of the rating
head (so the order of its predictions stays); the confidence a logistic regression on the predicted
rating and on how much is known of the listener and the track, made honest by a second isotonic
regression.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import Doubles, Floats

N_KNOTS = 33


@dataclass(frozen=True, eq=False)
class MonotoneCurve:
    """A rising piecewise linear function through (x, y), constant beyond its ends."""

    x: Floats
    y: Floats

    def __call__(self, values: NDArray[np.floating]) -> Floats:
        """Return the function's values."""
        heights: Floats = np.interp(values, self.x, self.y).astype(np.float32)
        return heights

    @classmethod
    def fit(
        cls, x: NDArray[np.floating], y: NDArray[np.floating], *, n_bins: int = N_KNOTS
    ) -> MonotoneCurve:
        """Return the isotonic regression of y on x, over the means of bins of equal count.

        Bins keep a knot from resting on a handful of cases.

        Raises:
            ValueError: no cases.
        """
        if not len(x):
            raise ValueError("a curve needs at least one case, got none")
        order = np.argsort(x, kind="stable")
        bins = [b for b in np.array_split(order, min(n_bins, max(1, len(x) // 10))) if len(b)]
        knots = np.array([x[b].mean() for b in bins], np.float64)
        heights = np.array([y[b].mean() for b in bins], np.float64)
        counts = np.array([len(b) for b in bins], np.float64)
        knots, first = np.unique(knots, return_inverse=True)
        total = np.bincount(first, counts).astype(np.float64)
        heights = np.bincount(first, heights * counts) / total
        return cls(knots.astype(np.float32), isotonic(heights, total).astype(np.float32))


def isotonic(y: Doubles, weights: Doubles) -> Doubles:
    """Return the rising sequence nearest to y in weighted squares (pool adjacent violators)."""
    levels: list[float] = []
    masses: list[float] = []
    sizes: list[int] = []
    for level, mass in zip(y.tolist(), weights.tolist(), strict=True):
        size = 1
        while levels and levels[-1] > level:
            other, weight = levels.pop(), masses.pop()
            level = (other * weight + level * mass) / (weight + mass)
            mass += weight
            size += sizes.pop()
        levels.append(level)
        masses.append(mass)
        sizes.append(size)
    return np.repeat(levels, sizes)


@dataclass(frozen=True, eq=False)
class Calibration:
    """From the rating head to `prediction_score` and `confidence`.

    Attributes:
        rating: from uncalibrated preference to expected rating, 1 to 5.
        coefficients: logistic regression of "within one star" on `confidence_features`.
        confidence: from its logit to the calibrated probability.
    """

    rating: MonotoneCurve
    coefficients: Floats
    confidence: MonotoneCurve

    @classmethod
    def none(cls) -> Calibration:
        """Return the map for a model without held-out responses: 1 + 4 p, confidence one half."""
        ends = np.array([0, 1], np.float32)
        half = np.full(2, 0.5, np.float32)
        return cls(
            MonotoneCurve(ends, 1 + 4 * ends), np.zeros(5, np.float32), MonotoneCurve(ends, half)
        )

    def expected_rating(self, preferences: Floats) -> Floats:
        """Return the expected rating, 1 to 5, for uncalibrated preferences."""
        return self.rating(preferences)

    def confidence_of(self, ratings: Floats, n_responses: float, track_counts: Floats) -> Floats:
        """Return the probability that the true rating is within one star of `ratings`."""
        features = confidence_features(ratings, n_responses, track_counts)
        return self.confidence(features @ self.coefficients)

    @classmethod
    def fit(
        cls,
        preferences: Floats,
        ratings: Floats,
        n_responses: Floats,
        track_counts: Floats,
    ) -> Calibration:
        """Fit to held-out responses, each with its true rating and what was known beforehand."""
        rating = MonotoneCurve.fit(preferences, ratings)
        predicted = rating(preferences)
        within = within_one_star(predicted, ratings)
        features = confidence_features(predicted, n_responses, track_counts)
        coefficients = fit_logistic(features, within.astype(np.float64))
        confidence = MonotoneCurve.fit(features @ coefficients, within.astype(np.float64), n_bins=9)
        return cls(rating, coefficients.astype(np.float32), confidence)


def within_one_star(
    predicted: NDArray[np.floating], ratings: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Return whether each rating lies at most one star from its prediction."""
    return np.abs(np.asarray(predicted, np.float64) - ratings) <= 1


def confidence_features(
    ratings: Floats, n_responses: float | Floats, track_counts: Floats
) -> Floats:
    """Return what confidence may depend on, shape (n, 5)."""
    centred = np.asarray(ratings, np.float32) - 3
    ones = np.ones_like(centred)
    listener = np.log1p(n_responses) * ones
    track = np.log1p(track_counts)
    columns = (ones, centred, centred**2, listener / 4, track / 4)
    return np.stack(columns, axis=1).astype(np.float32)


def fit_logistic(
    features: NDArray[np.floating], happened: Doubles, *, ridge: float = 1.0, steps: int = 25
) -> Doubles:
    """Return the coefficients of a ridge-penalised logistic regression, by Newton's method."""
    x = np.asarray(features, np.float64)
    coefficients = np.zeros(x.shape[1])
    for _ in range(steps):
        probability = 1 / (1 + np.exp(-np.clip(x @ coefficients, -30, 30)))
        gradient = x.T @ (happened - probability) - ridge * coefficients
        curvature = (x * (probability * (1 - probability))[:, None]).T @ x
        curvature.flat[:: len(curvature) + 1] += ridge
        step = np.linalg.solve(curvature, gradient)
        coefficients += step
        if np.abs(step).max() < 1e-8:
            break
    return coefficients
