"""Intervals that may be looked at after every observation."""

from __future__ import annotations

import math


def asymptotic_half_width(
    *, n: float, variance: float, alpha: float = 0.05, tightest_at: float = 500.0
) -> float:
    """Return the half-width of an asymptotic confidence sequence for a running mean.

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (Annals of Statistics 2024), theorem 2.2: with
    probability 1 - alpha the mean of the conditional means lies inside at all times at once, so
    stopping when it looks good is allowed, and observations may depend on the past as those of a
    bandit do.

    Args:
        n: observations, > 0.
        variance: of one observation, >= 0.
        alpha: 1 - coverage, in (0, 1).
        tightest_at: the n at which the sequence is tightest, > 0.

    Raises:
        ValueError: an argument is out of range.
    """
    if not (n > 0 and variance >= 0 and 0 < alpha < 1 and tightest_at > 0):
        raise ValueError(
            "need n > 0, variance >= 0, alpha in (0, 1) and tightest_at > 0, got "
            f"{n}, {variance}, {alpha}, {tightest_at}"
        )
    # The mixture's best scale for a given n, their equation (27) to first order.
    log_alpha = -2 * math.log(alpha)
    rho2 = (log_alpha + math.log(log_alpha) + 1) / tightest_at
    scale = n * rho2 + 1
    return math.sqrt(2 * variance * scale / (n * n * rho2) * math.log(math.sqrt(scale) / alpha))
