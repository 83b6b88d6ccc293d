"""How many listeners an experiment needs, from its goal's own history."""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

import numpy as np
from django.db import connection

from experiments.core.effects import NotEstimableError
from experiments.core.health import Check
from experiments.core.intervals import Method
from experiments.core.measures import DISTINCT, RETURNED
from experiments.core.moments import Moments, winsorize
from experiments.core.power import (
    Baseline,
    Design,
    detectable_effect,
    listeners_needed,
    plan_sequential,
    power,
)
from experiments.models import CohortMoments, Experiment, ExperimentMetric, Metric
from experiments.services.cohorts import structural_denominator

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


# Whoever was seen at all since the metric is kept, from the first day of that, as an exposure would
# find them; who then did nothing that counts has zeros.
_FROM_DAYS = """
WITH known AS (
    SELECT listener_id, min(day) AS since FROM experiments_listenerday
    WHERE day >= (SELECT min(day) FROM experiments_listenerday WHERE metric_id = %(metric)s)
    GROUP BY listener_id ORDER BY listener_id DESC LIMIT 100000
)
SELECT k.since, (SELECT max(day) FROM experiments_listenerday),
       coalesce(sum(d.numerator), 0), coalesce(sum(d.denominator), 0)
FROM known k LEFT JOIN experiments_listenerday d
  ON d.listener_id = k.listener_id AND d.metric_id = %(metric)s
 AND d.day >= k.since + %(first)s AND (%(days)s::int IS NULL OR d.day < k.since + %(days)s::int)
GROUP BY k.listener_id, k.since
"""


def metric_history(metric: Metric) -> Moments:
    """Return the moments of a metric over listeners known so far.

    They are the sums that the analysis reads, of everybody exposed in any phase, so that the plan
    has the definition of the test.  Of a metric that no phase has measured they are of at most
    100,000 listeners' days.
    """
    exposed = CohortMoments.objects.filter(metric=metric).added("metric_id")
    history = exposed.get((metric.pk,), Moments.zero())
    return history if history.n >= MIN_HISTORY else _from_days(metric)


def _from_days(metric: Metric) -> Moments:
    """Return the moments that listeners would have had, exposed on the first day they were seen."""
    if metric.numerator in DISTINCT:
        return Moments.zero()  # a day does not say which of its values were new
    is_return = metric.numerator == RETURNED
    days = None if metric.window_hours is None else ceil(metric.window_hours / 24)
    with connection.cursor() as cursor:
        given = {"metric": metric.pk, "first": int(is_return), "days": days}
        cursor.execute(_FROM_DAYS, given)
        rows = cursor.fetchall()
    if metric.mature_only and days is not None:
        rows = [row for row in rows if row[0] + timedelta(days=days) < row[1]]
    if not rows:
        return Moments.zero()
    numerators = np.array([row[2] for row in rows])
    if is_return:
        numerators = (numerators > 0).astype(float)
    structural = [structural_denominator(metric, since, last) for since, last, _, _ in rows]
    is_structural = structural[0] is not None
    denominators = np.array(structural if is_structural else [row[3] for row in rows], dtype=float)
    if metric.cap_percentile is not None:
        numerators = winsorize(numerators, metric.cap_percentile)
        if not is_structural:
            denominators = winsorize(denominators, metric.cap_percentile)
    return Moments.of_values(numerators, denominators)
