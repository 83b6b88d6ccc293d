"""Intervals and p-values around a lift: at every look, at one fixed time, or both.

The default is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and
Ramdas (arXiv 2103.06476, equation 9), which holds at all looks together.  Its one tuning number,
the sample size where it is tightest, must be fixed before the data is seen.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import exp, expm1, inf, log, log1p, sqrt

from scipy import special

from experiments.core.effects import Lift


class Method(StrEnum):
    """How an experiment's intervals are made."""

    SEQUENTIAL = "sequential"
    FIXED = "fixed"
    HYBRID = "hybrid"


@dataclass(frozen=True)
class Interval:
    """Bounds in the lift's unit, and the p-value of no difference."""

    low: float
    high: float
    p_value: float

    def excludes_zero(self) -> bool:
        """Return whether no difference is ruled out."""
        return self.low > 0 or self.high < 0


def fixed_interval(lift: Lift, *, alpha: float = 0.05) -> Interval:
    """Return Welch's t interval and two-sided p-value; valid for one look at a planned time."""
    _check_alpha(alpha)
    half = float(special.stdtrit(lift.dof, 1 - alpha / 2)) * lift.se
    p_value = 2 * float(special.stdtr(lift.dof, -abs(lift.estimate) / lift.se))
    return Interval(lift.estimate - half, lift.estimate + half, p_value)


def sequence_rho(alpha: float, tuning_n: float) -> float:
    """Return the mixture parameter that makes the sequence tightest at `tuning_n` listeners.

    Raises:
        ValueError: `alpha` is outside (0, 1) or `tuning_n` < 1.
    """
    _check_alpha(alpha)
    if not tuning_n >= 1:
        raise ValueError(f"tuning_n must be >= 1, got {tuning_n}")
    spread = -2 * log(alpha)
    return sqrt((spread + log(spread + 1)) / tuning_n)


def sequence_half_width(
    se: float, n: int, *, alpha: float, tuning_n: float, tuning_alpha: float | None = None
) -> float:
    """Return half the width of the two-sided confidence sequence at `n` listeners."""
    _check_alpha(alpha)
    rho_squared = sequence_rho(tuning_alpha or alpha, tuning_n) ** 2
    information = n * rho_squared + 1
    return se * sqrt(2 * information / (n * rho_squared) * log(sqrt(information) / alpha))


def sequential_interval(
    lift: Lift, *, alpha: float = 0.05, tuning_n: float, tuning_alpha: float | None = None
) -> Interval:
    """Return the interval and p-value that may be looked at any number of times.

    The p-value is the inverse of the mixture e-value, capped at 1; it is below `alpha` exactly
    when the interval excludes 0.

    Args:
        lift: estimate after `lift.n` listeners.
        alpha: chance that the interval misses the truth at any look.
        tuning_n: listeners of both arms where the sequence is tightest; fixed at the start.
        tuning_alpha: the level it is tightest at, `alpha` unless given; where `alpha` follows
            from a correction and so from the data, this one must not.
    """
    tuning_alpha = tuning_alpha or alpha
    half = sequence_half_width(
        lift.se, lift.n, alpha=alpha, tuning_n=tuning_n, tuning_alpha=tuning_alpha
    )
    rho_squared = sequence_rho(tuning_alpha, tuning_n) ** 2
    information = lift.n * rho_squared + 1
    drift = (lift.estimate / lift.se) ** 2 * lift.n
    log_e = rho_squared * drift / (2 * information) - log(information) / 2
    p_value = exp(-log_e) if log_e > 0 else 1.0
    return Interval(lift.estimate - half, lift.estimate + half, p_value)


def sequential_harm(
    lift: Lift, *, alpha: float = 0.05, tuning_n: float, higher_is_better: bool
) -> Interval:
    """Return the one-sided sequence that asks whether the treatment is worse.

    One bound is infinite.  The p-value is that of "not worse"; it is below `alpha` exactly when
    the finite bound leaves only worse values.
    """
    rho_squared = sequence_rho(2 * alpha, tuning_n) ** 2
    information = lift.n * rho_squared + 1
    half = lift.se * sqrt(
        2 * information / (lift.n * rho_squared) * log1p(sqrt(information) / (2 * alpha))
    )
    worse = -lift.estimate if higher_is_better else lift.estimate
    p_value = 1.0
    if worse > 0:
        exponent = rho_squared * lift.n * (worse / lift.se) ** 2 / (2 * information)
        odds = sqrt(information) / 2
        p_value = min(1.0, odds / expm1(exponent)) if exponent < 700 else 0.0
    if higher_is_better:
        return Interval(-inf, lift.estimate + half, p_value)
    return Interval(lift.estimate - half, inf, p_value)


def hybrid_interval(
    lift: Lift,
    *,
    alpha: float = 0.05,
    tuning_n: float,
    at_planned_end: bool,
    tuning_alpha: float | None = None,
) -> Interval:
    """Return an interval that spends half of `alpha` on looks and half on the planned end.

    While running it is the sequence at `alpha` / 2.  At the planned end, looked at once, it is
    the part that the sequence and the fixed test at `alpha` / 2 have in common; its p-value is
    twice the smaller of the two.
    """
    looks = sequential_interval(
        lift, alpha=alpha / 2, tuning_n=tuning_n, tuning_alpha=(tuning_alpha or alpha) / 2
    )
    if not at_planned_end:
        return Interval(looks.low, looks.high, min(1.0, 2 * looks.p_value))
    final = fixed_interval(lift, alpha=alpha / 2)
    # Both are centred on the same estimate, so that the common part is the narrower of the two.
    narrower = final if final.high - final.low <= looks.high - looks.low else looks
    p_value = min(1.0, 2 * min(final.p_value, looks.p_value))
    return Interval(narrower.low, narrower.high, p_value)


def interval(
    lift: Lift,
    method: Method,
    *,
    alpha: float = 0.05,
    tuning_n: float,
    tuning_alpha: float | None = None,
    at_planned_end: bool = False,
) -> Interval:
    """Return the interval that `method` gives; the p-value does not depend on `alpha`.

    That holds where `tuning_alpha` is given, so that p-values can be corrected first and the
    intervals made at the corrected levels.
    """
    if method is Method.FIXED:
        return fixed_interval(lift, alpha=alpha)
    if method is Method.HYBRID:
        return hybrid_interval(
            lift,
            alpha=alpha,
            tuning_n=tuning_n,
            at_planned_end=at_planned_end,
            tuning_alpha=tuning_alpha,
        )
    return sequential_interval(lift, alpha=alpha, tuning_n=tuning_n, tuning_alpha=tuning_alpha)


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
