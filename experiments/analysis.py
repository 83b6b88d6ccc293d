"""From stored sums to results: reads that pages, commands and the judge share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from experiments.core.bayesian import NormalPrior, posterior
from experiments.core.corrections import (
    benjamini_hochberg,
    benjamini_hochberg_levels,
    holm,
    holm_levels,
)
from experiments.core.effects import Lift, NotEstimableError, lift
from experiments.core.intervals import Interval, Method, interval, sequential_harm
from experiments.core.moments import Moments
from experiments.core.verdict import Comparison
from experiments.models import Experiment, ExperimentMetric, Metric, Phase, Variant

Role = ExperimentMetric.Role
# GrowthBook's proper prior of a relative lift: a change of 30 % is one standard deviation.
PRIOR = NormalPrior(mean=0.0, variance=0.3**2)


@dataclass(frozen=True)
class Options:
    """The switches of the results table."""

    cuped: bool = True
    method: Method = Method.SEQUENTIAL
    relative: bool = True
    bayesian: bool = False


@dataclass(frozen=True)
class Result:
    """One metric of one variant.

    Attributes:
        metric: what is measured.
        role: goal, guardrail or secondary.
        variant: whose value it is.
        n: listeners counted.
        numerator: sum over them.
        denominator: sum over them, or their number.
        value: numerator over denominator; None without one.
        lift: against the baseline; None for the baseline itself and where not estimable.
        interval: of the lift, at its corrected level.
        p_adjusted: corrected p-value.
        harm: one-sided sequence of a guardrail.
        chance_to_win: posterior probability of being better than the baseline.
        risk: expected loss of choosing this variant, in the lift's unit.
        problem: why there is no lift.
    """

    metric: Metric
    role: str
    variant: Variant
    n: int
    numerator: float
    denominator: float
    value: float | None
    lift: Lift | None = None
    interval: Interval | None = None
    p_adjusted: float | None = None
    harm: Interval | None = None
    chance_to_win: float | None = None
    risk: float | None = None
    problem: str = ""

    @property
    def is_baseline(self) -> bool:
        """Whether this is what the others are compared with."""
        return self.variant.position == 0

    def comparison(self) -> Comparison:
        """Return what the verdict needs of it."""
        return Comparison(
            metric=self.metric.key,
            variant=self.variant.key,
            is_goal=self.role == Role.GOAL,
            higher_is_better=self.metric.higher_is_better,
            lift=self.lift,
            interval=self.interval,
            harm=self.harm if self.role == Role.GUARDRAIL else None,
        )


MomentsByArm = Mapping[tuple[int, int], Moments]  # (metric id, variant id)


def tuning_n(phase: Phase, control: Variant, treatment: Variant) -> float:
    """Return the listeners of the two arms where their sequence is tightest, fixed at the start."""
    weights = phase.weights
    share = weights.get(control.key, 0.0) + weights.get(treatment.key, 0.0)
    total = sum(weights.values()) or 1.0
    return max(1.0, phase.planned_listeners * share / total)


def analyse(
    experiment: Experiment,
    phase: Phase,
    metrics: Sequence[Metric],
    variants: Sequence[Variant],
    moments: MomentsByArm,
    options: Options,
    *,
    on: date | None = None,
) -> list[Result]:
    """Return a result per metric and variant: metrics in the order given, baseline first.

    P-values are corrected within a role (all treatments of the goal; all treatments of all
    secondary metrics) and intervals are made at the levels the correction leaves.  Guardrails are
    not corrected: a correction would make harm harder to see.

    Args:
        experiment: the plan.
        phase: of it.
        metrics: what is measured.
        variants: all of the experiment, stopped ones too, since the correction counts them.
        moments: by metric and variant.
        options: switches.
        on: the day the moments are of, if they are not the newest.
    """
    control, *treatments = variants
    end = phase.planned_end_at
    at_planned_end = end is not None and (on is None or on >= end.date())
    test = _Test(experiment, phase, control, options, at_planned_end)
    rows: dict[tuple[int, int], Result] = {}
    for metric in metrics:
        role = phase.metric_roles.get(metric.key, Role.SECONDARY)
        for variant in variants:
            arm = moments.get((metric.pk, variant.pk), Moments.zero())
            rows[metric.pk, variant.pk] = _describe(metric, role, variant, arm)
        base = moments.get((metric.pk, control.pk), Moments.zero())
        for variant in treatments:
            arm = moments.get((metric.pk, variant.pk), Moments.zero())
            rows[metric.pk, variant.pk] = _compare(rows[metric.pk, variant.pk], base, arm, test)
    _correct(rows, test)
    return [rows[metric.pk, variant.pk] for metric in metrics for variant in variants]


def head_to_head(
    experiment: Experiment,
    phase: Phase,
    goal: Metric,
    variants: Sequence[Variant],
    moments: MomentsByArm,
    options: Options,
) -> dict[tuple[str, str], Interval]:
    """Return the interval of the first over the second, for every two treatments, on the goal.

    At alpha over their number: whoever leads was not chosen beforehand.
    """
    treatments = variants[1:]
    n_pairs = max(1, len(treatments) * (len(treatments) - 1) // 2)
    found = {}
    for first in treatments:
        for second in treatments:
            if first == second:
                continue
            try:
                between = lift(
                    moments.get((goal.pk, second.pk), Moments.zero()),
                    moments.get((goal.pk, first.pk), Moments.zero()),
                    kind=goal.kind,
                    cuped=options.cuped,
                )
            except NotEstimableError:
                continue
            found[first.key, second.key] = interval(
                between,
                options.method,
                alpha=experiment.alpha / n_pairs,
                tuning_n=tuning_n(phase, second, first),
                at_planned_end=phase.planned_end_at is not None,
            )
    return found


def _describe(metric: Metric, role: str, variant: Variant, arm: Moments) -> Result:
    value = None
    if arm.n and arm.sums[1]:
        value = float(arm.sums[0] / arm.sums[1])
    return Result(
        metric=metric,
        role=role,
        variant=variant,
        n=arm.n,
        numerator=float(arm.sums[0]),
        denominator=float(arm.sums[1]),
        value=value,
    )


@dataclass(frozen=True)
class _Test:
    """How every treatment is compared with the control."""

    experiment: Experiment
    phase: Phase
    control: Variant
    options: Options
    at_planned_end: bool

    def tuning_n(self, variant: Variant) -> float:
        """Return where the sequence of a treatment is tightest."""
        return tuning_n(self.phase, self.control, variant)

    def interval(self, row: Result, found: Lift, level: float) -> Interval:
        """Return the interval of a row's lift; a guardrail is watched on after the planned end."""
        return interval(
            found,
            self.options.method,
            alpha=level,
            tuning_n=self.tuning_n(row.variant),
            tuning_alpha=self.experiment.alpha,
            at_planned_end=self.at_planned_end and row.role != Role.GUARDRAIL,
        )


def _compare(row: Result, base: Moments, arm: Moments, test: _Test) -> Result:
    kind, higher = row.metric.kind, row.metric.higher_is_better
    options, alpha = test.options, test.experiment.alpha
    try:
        found = lift(base, arm, kind=kind, relative=options.relative, cuped=options.cuped)
    except NotEstimableError as error:
        return replace(row, problem=str(error))
    belief = posterior(found, PRIOR)
    return replace(
        row,
        lift=found,
        interval=test.interval(row, found, alpha),
        harm=sequential_harm(
            found, alpha=alpha, tuning_n=test.tuning_n(row.variant), higher_is_better=higher
        ),
        chance_to_win=belief.chance_to_win(higher_is_better=higher),
        risk=belief.risk(higher_is_better=higher)[1],
    )


def _correct(rows: dict[tuple[int, int], Result], test: _Test) -> None:
    alpha, correction = test.experiment.alpha, test.experiment.correction
    for role in Role.values:
        family = [
            (key, row) for key, row in rows.items() if row.role == role and row.interval is not None
        ]
        if not family:
            continue
        p_values = [row.interval.p_value for _, row in family]
        adjusted, levels = p_values, [alpha] * len(family)
        if role != Role.GUARDRAIL and correction == Experiment.Correction.HOLM:
            adjusted = holm(p_values).tolist()
            levels = holm_levels(p_values, alpha=alpha).tolist()
        elif role != Role.GUARDRAIL and correction != Experiment.Correction.NONE:
            adjusted = benjamini_hochberg(p_values).tolist()
            levels = benjamini_hochberg_levels(p_values, alpha=alpha).tolist()
        for (key, row), p_adjusted, level in zip(family, adjusted, levels, strict=True):
            rows[key] = replace(
                row, p_adjusted=p_adjusted, interval=test.interval(row, row.lift, level)
            )


def pre_exposure_p_value(base: Moments, arm: Moments, metric: Metric) -> float | None:
    """Return the p-value of a difference before exposure, or None without history."""
    try:
        found = lift(_before(base), _before(arm), kind=metric.kind, relative=False)
    except NotEstimableError:
        return None
    return interval(found, Method.FIXED, tuning_n=1).p_value


def _before(moments: Moments) -> Moments:
    order = [2, 3, 0, 1]
    return Moments(moments.n, moments.sums[order], moments.products[order][:, order])
