"""The resumable job that turns per-listener totals into sums, and sums into a verdict."""

import time
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q, QuerySet, Sum

from experiments.analysis import (
    Options,
    analyse,
    head_to_head,
    pre_exposure_p_value,
)
from experiments.core.health import (
    Check,
    check_balance,
    check_fallbacks,
    check_multiple_exposures,
    check_sample_ratio,
)
from experiments.core.intervals import Method
from experiments.core.measures import LISTENERS, OBSERVED_DAYS
from experiments.core.moments import Moments
from experiments.core.verdict import Plan, Progress, Verdict, VerdictKind, judge
from experiments.models import (
    CohortMoments,
    Experiment,
    ExperimentMetric,
    ExposureCount,
    Metric,
    Phase,
    RollUp,
    RollUpStep,
    TrendPoint,
    Variant,
)
from experiments.models.reporting import COLUMNS
from experiments.services import lifecycle, recomputation

STALE_AFTER = timedelta(hours=6)


def roll_up(*, at: datetime) -> RollUp:
    """Bring every live phase's sums and verdict up to date; take up a pass that was cut off.

    Each step is a transaction of its own and is skipped by whoever finds it taken, so that the job
    may be killed at any point and started twice.  A step that fails three times is passed over.
    """
    while recomputation.settle_history():
        pass
    roll_up = _open_roll_up(at)
    while (step_id := _next_step(roll_up)) is not None:
        _run_step(step_id)
    unfinished = roll_up.steps.filter(finished_at=None, attempts__lt=RollUpStep.MAX_ATTEMPTS)
    if not unfinished.exists():
        RollUp.objects.filter(pk=roll_up.pk, finished_at=None).update(finished_at=at)
    roll_up.refresh_from_db()
    return roll_up


def _open_roll_up(at: datetime) -> RollUp:
    RollUp.objects.filter(finished_at=None, as_of__lt=at - STALE_AFTER).update(finished_at=at)
    existing = RollUp.objects.filter(finished_at=None).first()
    if existing is not None:
        return existing
    try:
        with transaction.atomic():
            created = RollUp.objects.create(as_of=at)
            metrics = {metric.key: metric for metric in Metric.objects.all()}
            steps = []
            for phase in Phase.objects.measured_at(at):
                steps.append((phase, RollUpStep.Kind.COUNT, None))
                steps += [
                    (phase, RollUpStep.Kind.METRIC, metrics[key])
                    for key in phase.metric_roles
                    if key in metrics
                ]
                steps.append((phase, RollUpStep.Kind.JUDGE, None))
            RollUpStep.objects.bulk_create(
                RollUpStep(roll_up=created, phase=phase, kind=kind, metric=metric)
                for phase, kind, metric in steps
            )
    except IntegrityError:  # another process opened one in the meantime
        return RollUp.objects.get(finished_at=None)
    return created


def _next_step(roll_up: RollUp) -> int | None:
    """Return the next step that nobody works on, and count the attempt."""
    with transaction.atomic():
        step = (
            roll_up.steps.filter(finished_at=None, attempts__lt=RollUpStep.MAX_ATTEMPTS)
            .select_for_update(skip_locked=True)
            .first()
        )
        if step is None:
            return None
        RollUpStep.objects.filter(pk=step.pk).update(attempts=F("attempts") + 1)
        return step.pk


@transaction.atomic
def _run_step(step_id: int) -> None:
    step = (
        RollUpStep.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("phase__experiment", "metric", "roll_up")
        .filter(pk=step_id, finished_at=None)
        .first()
    )
    if step is None:
        return
    began = time.monotonic()
    as_of = step.roll_up.as_of
    if step.kind == RollUpStep.Kind.COUNT:
        count_exposures(step.phase, as_of=as_of)
    elif step.kind == RollUpStep.Kind.METRIC:
        roll_up_metric(step.phase, step.metric, as_of=as_of)
    else:
        judge_phase(step.phase, at=as_of)
    seconds = time.monotonic() - began
    RollUpStep.objects.filter(pk=step_id).update(finished_at=step.roll_up.as_of, seconds=seconds)


# One pass, no join: the columns repeat what the exposure says.
_GROUPS = """
SELECT variant_id, (exposed_at AT TIME ZONE 'UTC')::date, segment, count(*), {sums}
FROM (
    SELECT variant_id, exposed_at, segment,
           least(numerator, %(cap_m)s) AS m, least(denominator, %(cap_d)s) AS d,
           least(pre_numerator, %(cap_pm)s) AS pm, least(pre_denominator, %(cap_pd)s) AS pd
    FROM experiments_listenertotal
    WHERE phase_id = %(phase)s AND metric_id = %(metric)s AND exposed_at <= %(until)s
) AS t
GROUP BY 1, 2, 3
"""
_FACTORS = {
    name: " * ".join(name.removeprefix("sum_").split("_")) for name in COLUMNS if name != "n"
}
# Where the denominator is structural, only what does not contain it has to be summed.
_NUMERATOR_COLUMNS = ("sum_m", "sum_pm", "sum_m_m", "sum_m_pm", "sum_pm_pm")


def _percentile(column: str) -> str:
    return (
        f"percentile_cont(%(share)s) WITHIN GROUP (ORDER BY {column}) FILTER (WHERE {column} > 0)"
    )


_CAPS = """
SELECT {percentiles} FROM experiments_listenertotal
WHERE phase_id = %(phase)s AND metric_id = %(metric)s AND exposed_at <= %(until)s
"""


def roll_up_metric(phase: Phase, metric: Metric, *, as_of: datetime) -> None:
    """Replace the sums of one metric of one phase, and its point of the trend for the day."""
    rows = [
        CohortMoments(
            phase=phase,
            metric=metric,
            variant_id=variant_id,
            exposed_on=day,
            segment=segment,
            **values,
        )
        for (variant_id, day, segment), values in cohort_sums(phase, metric, as_of=as_of).items()
    ]
    CohortMoments.objects.filter(phase=phase, metric=metric).delete()
    CohortMoments.objects.bulk_create(rows, batch_size=1000)
    # What a test that speaks once has said stays: later points would be later looks.
    if phase.experiment.method != Method.SEQUENTIAL and phase.planned_end_at is not None:
        return
    added = {f"total_{name}": Sum(name) for name in COLUMNS}
    fresh = CohortMoments.objects.filter(phase=phase, metric=metric).order_by()
    points = [
        TrendPoint(
            phase=phase,
            metric=metric,
            variant_id=row["variant_id"],
            as_of=as_of.date(),
            **{name: row[f"total_{name}"] for name in COLUMNS},
        )
        for row in fresh.values("variant_id").annotate(**added)
    ]
    TrendPoint.objects.bulk_create(
        points,
        update_conflicts=True,
        unique_fields=["phase", "metric", "variant", "as_of"],
        update_fields=list(COLUMNS),
    )


def cohort_sums(
    phase: Phase, metric: Metric, *, as_of: datetime
) -> dict[tuple[int, date, str], dict[str, float]]:
    """Return the sums of a metric by (variant id, day of exposure, segment).

    Listeners without a row did nothing that counts: they add to `n`, which comes from the counts
    of exposures, and to the sums of a denominator that does not depend on what they did.  Of a
    metric for mature listeners only, the days whose last listener's window is over count.
    """
    counts = ExposureCount.objects.filter(phase=phase)
    until = as_of
    if metric.mature_only and metric.window_hours is not None:
        mature = (as_of - timedelta(hours=metric.window_hours)).date()
        counts = counts.filter(exposed_on__lt=mature)
        until = datetime.combine(mature, datetime.min.time(), tzinfo=UTC)
    is_structural = metric.denominator in (LISTENERS, OBSERVED_DAYS)
    names = _NUMERATOR_COLUMNS if is_structural else COLUMNS[1:]
    given = {"phase": phase.pk, "metric": metric.pk, "until": until}
    found: dict[tuple[int, date, str], dict[str, float]] = {
        (row.variant_id, row.exposed_on, row.segment): {
            "n": row.n,
            **dict.fromkeys(COLUMNS[1:], 0.0),
        }
        for row in counts
    }
    with connection.cursor() as cursor:
        caps = _caps(cursor, metric, given, numerators_only=is_structural)
        sums = ", ".join(f"sum({_FACTORS[name]})" for name in names)
        cursor.execute(_GROUPS.format(sums=sums), given | caps)
        for variant_id, day, segment, n_rows, *values in cursor.fetchall():
            cohort = found.setdefault(
                (variant_id, day, segment), {"n": 0, **dict.fromkeys(COLUMNS[1:], 0.0)}
            )
            # Somebody may have been exposed since the exposures were counted.
            cohort["n"] = max(cohort["n"], n_rows)
            cohort |= {name: float(value) for name, value in zip(names, values, strict=True)}
    for (_, day, _), cohort in found.items():
        if (days := _structural_denominator(phase, metric, day, as_of)) is not None:
            _set_denominator(cohort, int(cohort["n"]), days)
    return found


def _caps(
    cursor: Any, metric: Metric, given: dict[str, Any], *, numerators_only: bool
) -> dict[str, float | None]:
    """Return the values at the metric's percentile, None for a column that has none."""
    caps: dict[str, float | None] = dict.fromkeys(("cap_m", "cap_d", "cap_pm", "cap_pd"))
    if metric.cap_percentile is None:
        return caps
    columns = {"cap_m": "numerator", "cap_pm": "pre_numerator"}
    if not numerators_only:
        columns |= {"cap_d": "denominator", "cap_pd": "pre_denominator"}
    query = _CAPS.format(percentiles=", ".join(map(_percentile, columns.values())))
    cursor.execute(query, given | {"share": metric.cap_percentile / 100})
    return caps | dict(zip(columns, cursor.fetchone(), strict=True))


def _structural_denominator(
    phase: Phase, metric: Metric, exposed_on: date, as_of: datetime
) -> float | None:
    """Return the denominator that all of a cohort share, or None where it counts events."""
    if metric.denominator == LISTENERS:
        return 1.0
    if metric.denominator != OBSERVED_DAYS:
        return None
    last = min(as_of, phase.ended_at or as_of).date()
    days = (last - exposed_on).days + 1
    if metric.window_hours is not None:
        days = min(days, max(1, metric.window_hours // 24))
    return float(max(days, 1))


def _set_denominator(values: dict[str, float], n: int, days: float) -> None:
    values |= {
        "sum_d": days * n,
        "sum_m_d": days * values["sum_m"],
        "sum_d_d": days * days * n,
        "sum_d_pm": days * values["sum_pm"],
        "sum_pd": float(n),
        "sum_m_pd": values["sum_m"],
        "sum_d_pd": days * n,
        "sum_pm_pd": values["sum_pm"],
        "sum_pd_pd": float(n),
    }


_COUNTS = """
SELECT variant_id, (exposed_at AT TIME ZONE 'UTC')::date, segment, count(*),
       count(*) FILTER (WHERE fallback), count(*) FILTER (WHERE multiple),
       count(*) FILTER (WHERE l.is_simulated)
FROM experiments_exposure e LEFT JOIN accounts_listener l ON l.id = e.listener_id
WHERE phase_id = %s AND exposed_at <= %s
GROUP BY 1, 2, 3
"""


def count_exposures(phase: Phase, *, as_of: datetime) -> None:
    """Replace the phase's counts of exposures."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [phase.pk, as_of])
        rows = cursor.fetchall()
    ExposureCount.objects.filter(phase=phase).delete()
    ExposureCount.objects.bulk_create(
        ExposureCount(
            phase=phase,
            variant_id=variant_id,
            exposed_on=day,
            segment=segment,
            n=n,
            fallbacks=fallbacks,
            multiples=multiples,
            simulated=simulated,
        )
        for variant_id, day, segment, n, fallbacks, multiples, simulated in rows
    )


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
    results = analyse(experiment, phase, metrics, live, moments, options)
    checks = _checks(phase, variants, metrics, moments, looks=phase.looks + 1)
    verdict = judge(
        [result.comparison() for result in results if not result.is_baseline],
        checks,
        Plan(
            planned_listeners=phase.planned_listeners,
            min_days=experiment.min_days,
            smallest_effect=experiment.smallest_effect,
            method=Method(experiment.method),
        ),
        progress,
        head_to_head=head_to_head(experiment, phase, goal, live, moments, options),
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
    day.  A segment is always the newest.
    """
    if not segment and (
        phase.planned_end_at is not None and phase.experiment.method != Method.SEQUENTIAL
    ):
        frozen = TrendPoint.objects.of_phase(phase).filter(as_of__lte=phase.planned_end_at.date())
        last = frozen.order_by("-as_of").values_list("as_of", flat=True)[:1]
        return frozen.filter(as_of__in=list(last)).added("metric_id", "variant_id")
    rows: QuerySet[CohortMoments] = CohortMoments.objects.of_phase(phase)
    if segment:
        rows = rows.filter(Q(segment=segment) | Q(segment__startswith=f"{segment}/"))
    return rows.added("metric_id", "variant_id")


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
