"""Difference between two variants, absolute or relative, with its standard error.

Ratio metrics and relative lift by the delta method (Deng, Knoblich and Lu, KDD 2018); variance
reduction by CUPED (Deng, Xu, Kohavi and Walker, WSDM 2013).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from experiments.core.moments import Floats, Kind, Moments


class NotEstimableError(ValueError):
    """The data does not define the difference yet; the message says why."""


@dataclass(frozen=True)
class Lift:
    """A difference of treatment and control, approximately normal.

    Attributes:
        estimate: absolute difference in the metric's unit, or relative to |control| (unitless).
        se: its standard error, same unit.
        dof: Welch-Satterthwaite degrees of freedom.
        n: listeners of both arms together.
        relative: which of the two it is.
        control: the control's value in the metric's unit, not adjusted.
        treatment: the treatment's, adjusted where CUPED was used.
        theta: the CUPED coefficient; 0 means no adjustment.
    """

    estimate: float
    se: float
    dof: float
    n: int
    relative: bool
    control: float
    treatment: float
    theta: float = 0.0


class ArmSummary(NamedTuple):
    """One arm's value, and the linearization of it before and after exposure."""

    value: float
    pre_value: float
    variance: float
    pre_variance: float
    covariance: float


def summarize(moments: Moments, *, kind: Kind = "mean") -> ArmSummary:
    """Return a group's value and per-listener (delta-method) variances, after and before exposure.

    Divide a variance by the listeners for that of the value.  `pre_value` is 0 where nothing
    was recorded before exposure.

    Raises:
        NotEstimableError: fewer than two listeners, or a denominator that sums to 0.
    """
    if moments.n < 2:
        raise NotEstimableError(f"needs two listeners or more in each variant, got {moments.n}")
    numerator, denominator, pre_numerator, pre_denominator = moments.mean
    if denominator == 0:
        raise NotEstimableError("the denominator is 0 for everyone so far")
    after = np.array([1 / denominator, -numerator / denominator**2, 0.0, 0.0])
    before = np.zeros(4)
    pre_value = 0.0
    if pre_denominator != 0:
        pre_value = pre_numerator / pre_denominator
        before[2:] = 1 / pre_denominator, -pre_value / pre_denominator
    covariance = moments.covariance(kind=kind)
    return ArmSummary(
        value=float(numerator / denominator),
        pre_value=float(pre_value),
        variance=_quadratic(after, covariance, after),
        pre_variance=_quadratic(before, covariance, before),
        covariance=_quadratic(after, covariance, before),
    )


def lift(
    control: Moments,
    treatment: Moments,
    *,
    kind: Kind = "mean",
    relative: bool = True,
    cuped: bool = False,
) -> Lift:
    """Return treatment minus control, over |control| where `relative`.

    With CUPED the same metric before exposure is the covariate, its coefficient pooled over both
    arms; the relative lift divides by the control's unadjusted value, whose own noise is in the
    standard error.  Without a usable covariate the estimate is the unadjusted one.

    Raises:
        NotEstimableError: too few listeners, no variance, a denominator of 0, or a relative lift
            over a control of 0.
    """
    arm_c = summarize(control, kind=kind)
    arm_t = summarize(treatment, kind=kind)
    if arm_c.variance <= 0 or arm_t.variance <= 0:
        raise NotEstimableError("the metric has no variance in one of the variants yet")
    theta = 0.0
    if cuped and arm_c.pre_variance > 0 and arm_t.pre_variance > 0:
        theta = cuped_theta(control, treatment, kind=kind)
    variance_c = arm_c.variance + theta**2 * arm_c.pre_variance - 2 * theta * arm_c.covariance
    variance_t = arm_t.variance + theta**2 * arm_t.pre_variance - 2 * theta * arm_t.covariance
    difference = (arm_t.value - arm_c.value) - theta * (arm_t.pre_value - arm_c.pre_value)
    estimate, scale = difference, 1.0
    variance_c_lift = variance_c
    if relative:
        if arm_c.value == 0:
            raise NotEstimableError(
                "the baseline's value is 0, so a change in percent is undefined"
            )
        scale = abs(arm_c.value)
        estimate = difference / scale
        # The control is in the difference and in the divisor: its gradient has both parts.  With
        # the adjusted or the unadjusted treatment it is the same in the limit; GrowthBook takes
        # the former for ratios and the latter for means, and so does this, to agree with it.
        slope = 1 + difference / arm_c.value if kind == "ratio" else arm_t.value / arm_c.value
        variance_c_lift = (
            slope**2 * arm_c.variance
            + theta**2 * arm_c.pre_variance
            - 2 * slope * theta * arm_c.covariance
        )
    squared = (variance_t / treatment.n + variance_c_lift / control.n) / scale**2
    if not squared > 0:
        raise NotEstimableError("the metric has no variance in one of the variants yet")
    return Lift(
        estimate=estimate,
        se=float(np.sqrt(squared)),
        dof=welch_dof(variance_c, control.n, variance_t, treatment.n),
        n=control.n + treatment.n,
        relative=relative,
        control=arm_c.value,
        treatment=arm_c.value + difference,
        theta=theta,
    )


def cuped_theta(control: Moments, treatment: Moments, *, kind: Kind = "mean") -> float:
    """Return the coefficient on the covariate that least squares gives for both arms pooled.

    Of a mean: covariance over variance of all listeners together.  Of a ratio: the arms' sums of
    both, since two arms' linearizations have no common centre.  0 where the covariate is constant.
    """
    if kind == "ratio":
        arms = [summarize(moments, kind=kind) for moments in (control, treatment)]
        pre_variance = sum(arm.pre_variance for arm in arms)
        covariance = sum(arm.covariance for arm in arms)
    else:
        pooled = (control + treatment).covariance(kind=kind)
        pre_variance, covariance = float(pooled[2, 2]), float(pooled[0, 2])
    return covariance / pre_variance if pre_variance > 0 else 0.0


def welch_dof(variance_a: float, n_a: int, variance_b: float, n_b: int) -> float:
    """Return the Welch-Satterthwaite degrees of freedom of a difference of two means."""
    part_a, part_b = variance_a / n_a, variance_b / n_b
    return (part_a + part_b) ** 2 / (part_a**2 / (n_a - 1) + part_b**2 / (n_b - 1))


def _quadratic(left: Floats, matrix: Floats, right: Floats) -> float:
    return float(left @ matrix @ right)
