"""From sums to a verdict, and to the acts that follow from it by themselves."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from django.db import transaction
from django.db.models import Q, Sum

from experiments.analysis import Options, analyse, head_to_head, pre_exposure_p_value
from experiments.core.health import (
    Check,
    check_balance,
    check_fallbacks,
    check_multiple_exposures,
    check_sample_ratio,
)
from experiments.core.intervals import Method
from experiments.core.moments import Moments
from experiments.core.verdict import Plan, Progress, Verdict, VerdictKind, judge
from experiments.models import (
    CohortMoments,
    Experiment,
    ExperimentMetric,
    ExposureCount,
    Metric,
    Phase,
    TrendPoint,
    Variant,
)
from experiments.models.reporting import MomentsQuerySet
from experiments.services import lifecycle


@transaction.atomic
def judge_phase(phase: Phase, *, at: datetime) -> Verdict | None:
    """Judge the phase by its newest sums, keep the verdict, and act where it says to act.

    Of an ended phase the verdict stays.  Harmful variants are stopped; a winner is shipped where
    the experiment ships by itself.  Returns None for a phase that has ended or has no goal.
    """
    phase = (
        Phase.objects.select_for_update(of=("self",)).select_related("experiment").get(pk=phase.pk)
    )
    experiment = phase.experiment
    roles = phase.metric_roles
    goal_key = next((key for key, role in roles.items() if role == ExperimentMetric.Role.GOAL), "")
    metrics = list(Metric.objects.filter(key__in=roles))
    goal = next((metric for metric in metrics if metric.key == goal_key), None)
    if phase.ended_at is not None or goal is None:
        return None
    variants = list(experiment.variants.all())
    progress = _progress(phase, at)
    at_end = progress.listeners >= phase.planned_listeners and progress.days >= experiment.min_days
    if at_end and phase.planned_end_at is None:
        phase.planned_end_at = at
    options = Options(method=Method(experiment.method))
    moments = current_moments(phase)
    live = [variant for variant in variants if variant.stopped_at is None]
    # All are corrected for, as on the page: which would be stopped was not known beforehand.
    results = analyse(experiment, phase, metrics, variants, moments, options)
    checks = _checks(phase, variants, metrics, moments, looks=phase.looks + 1)
    verdict = judge(
        [result.comparison() for result in results if result.variant in live[1:]],
        checks,
        Plan(
            planned_listeners=phase.planned_listeners,
            min_days=experiment.min_days,
            smallest_effect=experiment.smallest_effect,
            method=Method(experiment.method),
        ),
        progress,
        head_to_head=head_to_head(experiment, phase, goal, variants, moments, options),
    )
    phase.looks += 1
    phase.verdict = verdict.kind
    phase.verdict_words = verdict.words
    phase.verdict_variant = verdict.variant or ""
    phase.listeners_left = verdict.listeners_left
    phase.days_left = verdict.days_left
    phase.checks = [asdict(check) for check in checks]
    phase.judged_at = at
    phase.save()
    _act_on(verdict, experiment, live, at=at)
    return verdict


def current_moments(phase: Phase, *, segment: str = "") -> dict[tuple[int, int], Moments]:
    """Return the newest moments by (metric id, variant id), or those of the planned end.

    Fixed and hybrid tests speak once: after the planned end their numbers are the ones of that
    day.  Guardrails are watched by a sequence as long as lists are served, so they are always the
    newest, and so is a segment.
    """
    return moments_by_phase([phase], segment=segment)[phase.pk]


def moments_by_phase(
    phases: Sequence[Phase], *, segment: str = ""
) -> dict[int, dict[tuple[int, int], Moments]]:
    """Return `current_moments` of phases by their ids, in three queries at most."""
    frozen = [
        phase
        for phase in phases
        if not segment
        and phase.planned_end_at is not None
        and phase.experiment.method != Method.SEQUENTIAL
    ]
    watched = [Q(phase=phase, metric__key__in=phase.guardrails) for phase in frozen]
    newest: MomentsQuerySet = CohortMoments.objects.filter(
        reduce(or_, watched, Q(phase__in=[phase for phase in phases if phase not in frozen]))
    )
    if segment:
        newest = newest.filter(Q(segment=segment) | Q(segment__startswith=f"{segment}/"))
    by_phase: dict[int, dict[tuple[int, int], Moments]] = {phase.pk: {} for phase in phases}
    for rows in (newest, _at_planned_end(frozen)):
        for (pk, metric, variant), moments in rows.added(
            "phase_id", "metric_id", "variant_id"
        ).items():
            by_phase[pk][metric, variant] = moments
    return by_phase


def _at_planned_end(phases: Sequence[Phase]) -> MomentsQuerySet:
    """Return the sums of each phase's last day up to its planned end, but for its guardrails."""
    points: MomentsQuerySet = TrendPoint.objects.all()
    if not phases:
        return points.none()
    days = [Q(phase=phase, as_of__lte=phase.planned_end_at.date()) for phase in phases]
    until = points.filter(reduce(or_, days)).order_by("phase_id", "-as_of").distinct("phase_id")
    as_of = dict(until.values_list("phase_id", "as_of"))
    last = [
        Q(phase=phase, as_of=as_of[phase.pk]) & ~Q(metric__key__in=phase.guardrails)
        for phase in phases
        if phase.pk in as_of
    ]
    return points.filter(reduce(or_, last)) if last else points.none()


def _progress(phase: Phase, at: datetime) -> Progress:
    counts = ExposureCount.objects.filter(phase=phase)
    listeners = counts.aggregate(n=Sum("n"))["n"] or 0
    days = max((at - phase.started_at) / timedelta(days=1), 0.0)
    window = min(7.0, max(days, 1.0))
    of_late = counts.filter(exposed_on__gt=(at - timedelta(days=window)).date())
    recent = of_late.aggregate(n=Sum("n"))["n"] or 0
    return Progress(listeners=listeners, days=days, listeners_per_day=recent / window)


def _checks(
    phase: Phase,
    variants: list[Variant],
    metrics: list[Metric],
    moments: dict[tuple[int, int], Moments],
    *,
    looks: int,
) -> list[Check]:
    rows = {
        row["variant_id"]: row
        for row in ExposureCount.objects.filter(phase=phase)
        .order_by()
        .values("variant_id")
        .annotate(n=Sum("n"), fallbacks=Sum("fallbacks"), multiples=Sum("multiples"))
    }
    # A stopped variant gets nobody new; the others still share by their weights.
    live = [variant for variant in variants if variant.stopped_at is None]
    none = {"n": 0, "fallbacks": 0, "multiples": 0}
    exposed = [rows.get(variant.pk, none)["n"] for variant in live]
    p_values, labels = [], []
    control = variants[0]
    for metric in metrics:
        for variant in live[1:]:
            base, arm = (moments.get((metric.pk, v.pk)) for v in (control, variant))
            if base is None or arm is None:
                continue
            p_value = pre_exposure_p_value(base, arm, metric)
            if p_value is not None:
                p_values.append(p_value)
                labels.append(f"{metric.key} of {variant.key}")
    return [
        check_sample_ratio(
            exposed, [phase.weights.get(variant.key, 0.0) for variant in live], looks=looks
        ),
        check_multiple_exposures(
            sum(row["multiples"] for row in rows.values()), sum(row["n"] for row in rows.values())
        ),
        check_fallbacks([rows.get(v.pk, none)["fallbacks"] for v in live], exposed),
        check_balance(p_values, labels),
    ]


def _act_on(verdict: Verdict, experiment: Experiment, live: list[Variant], *, at: datetime) -> None:
    for variant in live:
        if variant.key in verdict.harmful and variant.position > 0:
            reason = f"stopped by itself, a guardrail was crossed. {verdict.words}"
            lifecycle.stop_variant(variant, reason=reason, at=at)
    if verdict.kind is VerdictKind.SHIP and verdict.variant and experiment.ships_by_itself:
        lifecycle.ship(experiment, variant_key=verdict.variant, reason=verdict.words, at=at)
