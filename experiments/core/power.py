"""How many listeners an experiment needs, and what it can find with those it has.

Effects are relative lifts.  A ratio metric enters with its delta-method variance, so that every
function here serves means, proportions and ratios alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from scipy.special import ndtr, ndtri

from experiments.core.effects import summarize
from experiments.core.intervals import sequence_half_width, sequence_rho
from experiments.core.moments import Floats, Kind, Moments

MAX_LISTENERS = 10_000_000_000
GRID = 201


@dataclass(frozen=True)
class Baseline:
    """A metric's own history: its value and per-listener variance (delta method for a ratio)."""

    mean: float
    variance: float

    def __post_init__(self) -> None:
        if self.mean == 0:
            raise ValueError("the metric's mean is 0, so a relative effect is undefined")
        if not self.variance > 0:
            raise ValueError(f"the metric's variance must be > 0, got {self.variance}")

    @classmethod
    def of(cls, history: Moments, *, kind: Kind = "mean", cuped: bool = False) -> "Baseline":
        """Return the baseline that `history` shows, with the variance CUPED leaves if asked."""
        arm = summarize(history, kind=kind)
        variance = arm.variance
        if cuped and arm.pre_variance > 0:
            variance -= arm.covariance**2 / arm.pre_variance
        return cls(mean=arm.value, variance=variance)


@dataclass(frozen=True)
class Design:
    """What the test will be.

    Attributes:
        alpha: two-sided error.
        tuning_n: listeners of both arms where the sequence is tightest; None for a fixed test.
        looks: how often the sequence is looked at, evenly, up to the last listener.
        weight_control: the control's share of the two arms together.
    """

    alpha: float = 0.05
    tuning_n: float | None = None
    looks: int = 30
    weight_control: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1, got {self.alpha}")
        if not 0 < self.weight_control < 1:
            raise ValueError(f"weight_control must be between 0 and 1, got {self.weight_control}")
        if self.looks < 1:
            raise ValueError(f"looks must be >= 1, got {self.looks}")


def relative_se(
    baseline: Baseline, n: float, effect: float, *, weight_control: float = 0.5
) -> float:
    """Return the standard error of a relative lift of `effect`, both arms of equal variance.

    Args:
        baseline: the metric's history.
        n: listeners of both arms.
        effect: true relative lift; the larger treatment mean makes the divisor's noise matter more.
        weight_control: the control's share of `n`.
    """
    unit = baseline.variance / baseline.mean**2
    n_control, n_treatment = n * weight_control, n * (1 - weight_control)
    return sqrt(unit / n_treatment + unit * (1 + effect) ** 2 / n_control)


def power(baseline: Baseline, design: Design, n: float, effect: float) -> float:
    """Return the chance that the test finds a true relative lift of `effect` by `n` listeners.

    Of a sequence it is the chance that some look crosses, not only the last.
    """
    if n < 4:
        return 0.0
    se = relative_se(baseline, n, effect, weight_control=design.weight_control)
    if design.tuning_n is None:
        z = float(ndtri(1 - design.alpha / 2))
        return float(ndtr(effect / se - z) + ndtr(-z - effect / se))
    return _crossing_probability(effect / (se * sqrt(n)), n, design)


def detectable_effect(
    baseline: Baseline, design: Design, n: float, *, target_power: float = 0.8
) -> float:
    """Return the smallest positive relative lift found with `target_power` at `n` listeners.

    Infinite where even an unbounded one would not be: the control's own noise then hides it.
    """
    _check_power(target_power)
    if design.tuning_n is None:
        z = float(ndtri(1 - design.alpha / 2) - ndtri(1 - target_power))
        return _effect_at(baseline, z, n, design.weight_control)
    high = 0.01
    while power(baseline, design, n, high) < target_power:
        high *= 2
        if high > 1e3:
            return inf
    low = 0.0
    while high - low > 1e-5 * high:
        middle = (low + high) / 2
        if power(baseline, design, n, middle) < target_power:
            low = middle
        else:
            high = middle
    return high


def listeners_needed(
    baseline: Baseline, design: Design, effect: float, *, target_power: float = 0.8
) -> int:
    """Return how many listeners of both arms find a relative lift of `effect`, signed.

    Raises:
        ValueError: `effect` is 0, or would need more than ten billion listeners.
    """
    _check_power(target_power)
    if effect == 0:
        raise ValueError("effect must differ from 0")

    def enough(n: int) -> bool:
        return power(baseline, design, n, effect) >= target_power

    return _smallest(enough, low=4, high=8)


def plan_sequential(
    baseline: Baseline,
    effect: float,
    *,
    alpha: float = 0.05,
    target_power: float = 0.8,
    looks: int = 30,
    weight_control: float = 0.5,
) -> int:
    """Return the listeners of both arms a sequence needs when it is tuned to that very number."""
    fixed = Design(alpha=alpha, weight_control=weight_control)
    low = listeners_needed(baseline, fixed, effect, target_power=target_power)

    def enough(n: int) -> bool:
        design = Design(alpha, tuning_n=n, looks=looks, weight_control=weight_control)
        return power(baseline, design, n, effect) >= target_power

    return _smallest(enough, low=low, high=2 * low)


def inflated_power(baseline: Baseline, design: Design, n: float, effect: float) -> float:
    """Return the power that widening the standard error predicts for a sequence.

    The approximation of GrowthBook's calculator, kept for comparison with it.  It is no chance of
    crossing: at small effects it is too high (0.21 where the last look has 0.07), at large too low.
    """
    se = relative_se(baseline, n, effect, weight_control=design.weight_control)
    z = float(ndtri(1 - design.alpha / 2))
    wide = se * _inflation(design, n)
    return float(ndtr(effect / wide - z) + ndtr(-z - effect / wide))


def inflated_detectable_effect(
    baseline: Baseline, design: Design, n: float, *, target_power: float = 0.8
) -> float:
    """Return the smallest lift that `inflated_power` finds, in closed form."""
    z = float(ndtri(1 - design.alpha / 2) - ndtri(1 - target_power))
    return _effect_at(baseline, z * _inflation(design, n), n, design.weight_control)


def _smallest(enough: Callable[[int], bool], *, low: int, high: int) -> int:
    """Return the smallest number that is `enough`, to a thousandth of it, doubling then halving."""
    while not enough(high):
        low, high = high, high * 2
        if high > MAX_LISTENERS:
            raise ValueError("the effect would need more than 10 billion listeners")
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def _inflation(design: Design, n: float) -> float:
    if design.tuning_n is None:
        raise ValueError("tuning_n is needed for a sequential design")
    half = sequence_half_width(1.0, round(n), alpha=design.alpha, tuning_n=design.tuning_n)
    return half / float(ndtri(1 - design.alpha / 2))


def _effect_at(baseline: Baseline, z: float, n: float, weight_control: float) -> float:
    """Solve effect = z * relative_se(effect) for the positive root."""
    unit = baseline.variance / baseline.mean**2
    control, treatment = (
        z**2 * unit / (n * weight_control),
        z**2 * unit / (n * (1 - weight_control)),
    )
    # effect^2 = treatment + control * (1 + effect)^2
    if control >= 1:
        return inf
    root = sqrt(control**2 + (1 - control) * (control + treatment))
    return (control + root) / (1 - control)


def _crossing_probability(drift: float, n: float, design: Design) -> float:
    """Return the chance that a Brownian motion with `drift` per listener leaves the sequence.

    Recursive integration over the looks (Armitage, McPherson and Rowe 1969): the density of the
    paths still inside is carried from look to look on a grid.
    """
    assert design.tuning_n is not None  # noqa: S101 - power() branches on it
    rho_squared = sequence_rho(design.alpha, design.tuning_n) ** 2
    times = n * np.arange(1, design.looks + 1) / design.looks
    information = times * rho_squared + 1
    bounds = np.sqrt(2 * information / rho_squared * np.log(np.sqrt(information) / design.alpha))
    crossed = 0.0
    grid: Floats = np.zeros(1)
    mass: Floats = np.ones(1)
    previous = 0.0
    for time, bound in zip(times, bounds, strict=True):
        step, sd = drift * (time - previous), sqrt(time - previous)
        means = grid + step
        outside = ndtr((means - bound) / sd) + ndtr((-bound - means) / sd)
        crossed += float(mass @ outside)
        low = max(-bound, drift * time - 8 * sqrt(time))
        high = min(bound, drift * time + 8 * sqrt(time))
        if high <= low:
            break
        fresh = np.linspace(low, high, GRID)
        weights = np.full(GRID, fresh[1] - fresh[0])
        weights[[0, -1]] /= 2
        density = np.exp(-0.5 * ((fresh[:, None] - means[None, :]) / sd) ** 2) / (
            sd * sqrt(2 * np.pi)
        )  # (new, old)
        mass = weights * (density @ mass)
        grid, previous = fresh, float(time)
    return min(1.0, crossed)


def _check_power(target_power: float) -> None:
    if not 0 < target_power < 1:
        raise ValueError(f"target_power must be between 0 and 1, got {target_power}")
