"""Corrections of p-values and intervals for many metrics and variants."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from experiments.core.intervals import Interval
from experiments.core.moments import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Return Holm's step-down adjusted p-values (1979), same order, family-wise error.

    Raises:
        ValueError: a p-value is outside [0, 1].
    """
    p, order = _sorted(p_values)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return Benjamini and Hochberg's adjusted p-values (1995), same order, false discoveries.

    Raises:
        ValueError: a p-value is outside [0, 1].
    """
    p, order = _sorted(p_values)
    ratios = p[order] * len(p) / np.arange(1, len(p) + 1)
    stepped = np.minimum.accumulate(ratios[::-1])[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def adjusted_interval(interval: Interval, p_adjusted: float, *, alpha: float) -> Interval:
    """Return the interval that agrees with an adjusted p-value, never narrower than before.

    A normal standard deviation is backed out of the estimate and the p-value, as GrowthBook does;
    an adjusted p-value of 1 leaves the whole line.
    """
    estimate = (interval.low + interval.high) / 2
    if p_adjusted >= 1:
        return Interval(-np.inf, np.inf, 1.0)
    if p_adjusted <= 0:
        return Interval(interval.low, interval.high, p_adjusted)
    sd = abs(estimate / float(stats.norm.ppf(1 - p_adjusted / 2)))
    half = float(stats.norm.ppf(1 - alpha / 2)) * sd
    half = max(half, (interval.high - interval.low) / 2)
    return Interval(estimate - half, estimate + half, p_adjusted)


def _sorted(p_values: ArrayLike) -> tuple[Floats, np.ndarray]:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be a list of numbers in [0, 1], got {p_values!r}")
    return p, np.argsort(p, kind="stable")
