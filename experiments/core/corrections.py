"""Corrections of p-values, and of the levels of intervals, for many metrics and variants."""

import numpy as np
from numpy.typing import ArrayLike

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


def holm_levels(p_values: ArrayLike, *, alpha: float) -> Floats:
    """Return the level of each test's interval that agrees with Holm, same order.

    The interval at that level excludes no difference exactly when Holm rejects: the k-th smallest
    p-value that is rejected is compared with alpha / (m - k + 1), all that are not with the
    level of the first that failed.
    """
    p, order = _sorted(p_values)
    m = len(p)
    ladder = alpha / np.arange(m, 0, -1)
    rejected = int(np.cumprod(p[order] < ladder).sum())
    ladder[rejected:] = ladder[rejected] if rejected < m else alpha
    levels = np.empty_like(p)
    levels[order] = ladder
    return levels


def benjamini_hochberg_levels(p_values: ArrayLike, *, alpha: float) -> Floats:
    """Return the level of each test's interval that agrees with Benjamini-Hochberg, same order.

    With R rejections of m it is R alpha / m for all (Benjamini and Yekutieli, JASA 2005: of the
    intervals that are selected, a share of at most alpha misses); alpha / m without any.
    """
    p, order = _sorted(p_values)
    m = len(p)
    below = np.nonzero(p[order] < alpha * np.arange(1, m + 1) / m)[0]
    rejected = int(below[-1]) + 1 if below.size else 1
    return np.full(m, rejected * alpha / m)


def _sorted(p_values: ArrayLike) -> tuple[Floats, np.ndarray]:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be a list of numbers in [0, 1], got {p_values!r}")
    return p, np.argsort(p, kind="stable")
