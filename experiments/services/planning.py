"""How many listeners an experiment needs, from its goal's own history."""

from dataclasses import dataclass

import numpy as np
from django.db import connection

from experiments.core.effects import NotEstimableError
from experiments.core.health import Check
from experiments.core.intervals import Method
from experiments.core.moments import Moments
from experiments.core.power import (
    Baseline,
    Design,
    detectable_effect,
    listeners_needed,
    plan_sequential,
    power,
)
from experiments.models import Experiment, ExperimentMetric, Metric

TARGET_POWER = 0.8
MIN_HISTORY = 50


@dataclass(frozen=True)
class PowerReport:
    """What the plan can find.

    Attributes:
        metric: key of the goal.
        baseline: the goal's history.
        n_history: listeners that history is of.
        listeners: over all variants, as planned or asked.
        power: chance to find the smallest effect of interest with those, per treatment.
        detectable: smallest relative effect found with 80 % power.
        needed: listeners over all variants for 80 % power; None beyond ten billion.
    """

    metric: str
    baseline: Baseline
    n_history: int
    listeners: int
    power: float
    detectable: float
    needed: int | None


def plan_power(experiment: Experiment, *, listeners: int | None = None) -> PowerReport:
    """Return what `listeners` (by default the plan's) can find of the goal.

    Of several treatments it is the one with the smallest weight; alpha is divided among them.

    Raises:
        ValueError: there is no goal, or too little history to say.
    """
    goal = (
        ExperimentMetric.objects.filter(experiment=experiment, role=ExperimentMetric.Role.GOAL)
        .select_related("metric")
        .first()
    )
    if goal is None:
        raise ValueError("the experiment has no goal metric")
    history = metric_history(goal.metric)
    if history.n < MIN_HISTORY:
        raise ValueError(
            f"{goal.metric.key} has a history of {history.n} listeners; {MIN_HISTORY} are needed"
        )
    weights = [variant.weight for variant in experiment.variants.all()]
    control, treatment = weights[0], min(weight for weight in weights[1:] if weight > 0)
    share = control + treatment
    listeners = listeners or experiment.planned_listeners
    alpha = experiment.alpha / (len(weights) - 1)
    is_sequential = experiment.method != Method.FIXED
    design = Design(
        alpha=alpha,
        tuning_n=listeners * share if is_sequential else None,
        weight_control=control / share,
    )
    baseline = Baseline.of(history, kind=goal.metric.kind)
    effect = experiment.smallest_effect
    try:
        if is_sequential:
            pair = plan_sequential(
                baseline, effect, alpha=alpha, weight_control=design.weight_control
            )
        else:
            pair = listeners_needed(baseline, design, effect)
        needed = int(np.ceil(pair / share))
    except ValueError:
        needed = None
    return PowerReport(
        metric=goal.metric.key,
        baseline=baseline,
        n_history=history.n,
        listeners=listeners,
        power=power(baseline, design, listeners * share, effect),
        detectable=detectable_effect(baseline, design, listeners * share),
        needed=needed,
    )


def check_power(experiment: Experiment) -> Check:
    """Return whether the plan can find the smallest effect; advice, since history may lack."""
    try:
        report = plan_power(experiment)
    except (ValueError, NotEstimableError) as error:
        return Check("power", True, f"Advice: power is unknown: {error}.")
    needed = f"{report.needed:,}" if report.needed else "more than ten billion"
    words = (
        f"{report.listeners:,} listeners find a change of {experiment.smallest_effect:.1%} with "
        f"{report.power:.0%} power ({report.metric} of {report.n_history:,} listeners); "
        f"{needed} give {TARGET_POWER:.0%}."
    )
    return Check("power", True, words if report.power >= TARGET_POWER else f"Advice: {words}")


# Exposed listeners' totals where there are any: they have the very definition the test will use.
_FROM_TOTALS = """
SELECT numerator, denominator FROM experiments_listenertotal
WHERE metric_id = %s ORDER BY exposure_id DESC LIMIT 100000
"""
_FROM_DAYS = """
SELECT sum(numerator), sum(denominator) FROM experiments_listenerday WHERE metric_id = %s
GROUP BY listener_id LIMIT 100000
"""


def metric_history(metric: Metric) -> Moments:
    """Return the moments of a metric over listeners known so far, at most 100,000."""
    for query in (_FROM_TOTALS, _FROM_DAYS):
        with connection.cursor() as cursor:
            cursor.execute(query, [metric.pk])
            rows = cursor.fetchall()
        if len(rows) >= MIN_HISTORY or query is _FROM_DAYS:
            break
    if not rows:
        return Moments.zero()
    values = np.array(rows, dtype=np.float64)
    if metric.kind == Metric.Kind.RATIO and values[:, 1].any():
        return Moments.of_values(values[:, 0], values[:, 1])
    return Moments.of_values(values[:, 0])
