"""What the page, the JSON, the CSV and the command show of experiments; reads only stored sums."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce
from operator import or_

from django.db.models import Q

from experiments.analysis import MomentsByArm, Options, Result, analyse
from experiments.core.intervals import Interval
from experiments.core.moments import Moments
from experiments.core.verdict import LONGEST_WAIT_DAYS
from experiments.models import (
    Experiment,
    ExperimentMetric,
    ExposureCount,
    Metric,
    Phase,
    TrendPoint,
    Variant,
)
from experiments.services.judging import moments_by_phase

Role = ExperimentMetric.Role
ROLE_ORDER = {Role.GOAL: 0, Role.GUARDRAIL: 1, Role.SECONDARY: 2}
VERDICT_TONES = {
    "ship": "good",
    "keep running": "",
    "review": "warn",
    "roll back": "bad",
    "unhealthy": "bad",
}


@dataclass(frozen=True)
class Badge:
    """A word about an experiment, and its tone: good, warn, bad, or none."""

    words: str
    tone: str = ""


@dataclass(frozen=True)
class Summary:
    """One row of the list."""

    experiment: Experiment
    phase: Phase | None
    badges: tuple[Badge, ...]
    listeners: int
    days: float


@dataclass(frozen=True)
class TrendLine:
    """The goal's lift of one treatment, day by day."""

    variant: Variant
    points: tuple[tuple[date, float, Interval], ...]


@dataclass(frozen=True)
class Report:
    """Everything about one experiment's newest phase."""

    summary: Summary
    options: Options
    segment: str
    segments: tuple[str, ...]
    variants: tuple[Variant, ...]
    results: tuple[Result, ...]
    exposures: dict[str, tuple[tuple[date, int], ...]]
    totals: dict[str, int]
    trend: tuple[TrendLine, ...]
    trend_metric: Metric | None
    is_simulated: bool


def summaries(*, at: datetime) -> list[Summary]:
    """Return every experiment for the list, newest first, in four queries."""
    experiments = list(Experiment.objects.for_list())
    counts = defaultdict(int)
    rows = ExposureCount.objects.order_by().values_list("phase_id", "n")
    for phase_id, n in rows:
        counts[phase_id] += n
    return [_summary(experiment, counts, at) for experiment in experiments]


def report(experiment: Experiment, *, at: datetime, options: Options, segment: str = "") -> Report:
    """Return the report on an experiment's newest phase; about eight queries."""
    return report_each([(experiment, options)], at=at, segment=segment)[0]


def report_each(
    asked: Sequence[tuple[Experiment, Options]], *, at: datetime, segment: str = ""
) -> list[Report]:
    """Return the report on each experiment's newest phase, in their order.

    About six queries however many there are, if phases and variants are loaded as by `for_list`.
    """
    newest = {}
    for experiment, _ in asked:
        for phase in experiment.phases.all():
            phase.experiment = experiment
            newest[experiment.pk] = phase
    phases = list(newest.values())
    roles = {key for phase in phases for key in phase.metric_roles}
    metrics = {metric.key: metric for metric in Metric.objects.filter(key__in=roles)}
    moments = moments_by_phase(phases, segment=segment)
    counts = defaultdict(list)
    for row in ExposureCount.objects.filter(phase__in=phases):
        counts[row.phase_id].append(row)
    trends = _trends(phases, metrics)
    made = []
    for experiment, options in asked:
        phase = newest.get(experiment.pk)
        if phase is None:
            made.append(_blank(experiment, options, segment, at))
            continue
        kept = _Kept(
            metrics=[metrics[key] for key in phase.metric_roles if key in metrics],
            moments=moments[phase.pk],
            counts=counts[phase.pk],
            trend=trends[phase.pk],
        )
        made.append(_report(experiment, phase, kept, options, segment, at))
    return made


@dataclass(frozen=True)
class _Kept:
    """What is stored of a phase: sums by (metric id, variant id), and the goal's by day."""

    metrics: list[Metric]
    moments: MomentsByArm
    counts: list[ExposureCount]
    trend: dict[date, MomentsByArm]


def _blank(experiment: Experiment, options: Options, segment: str, at: datetime) -> Report:
    variants = tuple(experiment.variants.all())
    summary = _summary(experiment, {}, at)
    return Report(summary, options, segment, (), variants, (), {}, {}, (), None, False)


def _report(
    experiment: Experiment, phase: Phase, kept: _Kept, options: Options, segment: str, at: datetime
) -> Report:
    variants, counts = tuple(experiment.variants.all()), kept.counts
    metrics = sorted(
        kept.metrics,
        key=lambda metric: (ROLE_ORDER[Role(phase.metric_roles[metric.key])], metric.key),
    )
    results = analyse(experiment, phase, metrics, variants, kept.moments, options)
    by_phase = {phase.pk: sum(row.n for row in counts)}
    goal = _goal_of(phase, metrics)
    return Report(
        summary=_summary(experiment, by_phase, at),
        options=options,
        segment=segment,
        segments=_segments(counts),
        variants=variants,
        results=tuple(results),
        exposures={variant.key: _cumulative(counts, variant) for variant in variants},
        totals={
            variant.key: sum(row.n for row in counts if row.variant_id == variant.pk)
            for variant in variants
        },
        trend=_trend(experiment, phase, goal, variants, kept.trend, options),
        trend_metric=goal,
        is_simulated=any(row.simulated for row in counts),
    )


def _summary(experiment: Experiment, counts: dict[int, int], at: datetime) -> Summary:
    phases = list(experiment.phases.all())
    phase = phases[-1] if phases else None
    listeners = counts.get(phase.pk, 0) if phase else 0
    days = 0.0
    badges = [Badge(experiment.status, "good" if experiment.status == "running" else "")]
    if phase is not None:
        days = max(((phase.ended_at or at) - phase.started_at) / timedelta(days=1), 0.0)
        if not listeners:
            badges.append(Badge("no data yet", "warn"))
        elif phase.verdict:
            badges.append(_verdict_badge(phase))
    return Summary(experiment, phase, tuple(badges), listeners, days)


def _verdict_badge(phase: Phase) -> Badge:
    tone = VERDICT_TONES.get(phase.verdict, "")
    if phase.verdict == "ship":
        return Badge(f"ship {phase.verdict_variant}", tone)
    if phase.ended_at is None and (phase.days_left or 0) > LONGEST_WAIT_DAYS:
        return Badge("will not end at this rate", "warn")
    if phase.verdict == "keep running" and phase.days_left:
        return Badge(f"{phase.days_left} day{'' if phase.days_left == 1 else 's'} left", tone)
    return Badge(phase.verdict, tone)


def _segments(counts: Sequence[ExposureCount]) -> tuple[str, ...]:
    whole = {row.segment for row in counts}
    return tuple(sorted(whole | {segment.split("/")[0] for segment in whole}))


def _cumulative(counts: Sequence[ExposureCount], variant: Variant) -> tuple[tuple[date, int], ...]:
    days = sorted({row.exposed_on for row in counts})
    total, points = 0, []
    for day in days:
        total += sum(
            row.n for row in counts if row.exposed_on == day and row.variant_id == variant.pk
        )
        points.append((day, total))
    return tuple(points)


def _goal_of(phase: Phase, metrics: Iterable[Metric]) -> Metric | None:
    return next((m for m in metrics if phase.metric_roles.get(m.key) == Role.GOAL), None)


def _trends(
    phases: Sequence[Phase], metrics: Mapping[str, Metric]
) -> dict[int, dict[date, dict[tuple[int, int], Moments]]]:
    """Return the sums of each phase's goal, by phase, day, and (metric id, variant id)."""
    goals = {phase.pk: _goal_of(phase, metrics.values()) for phase in phases}
    wanted = [Q(phase=pk, metric=goal) for pk, goal in goals.items() if goal is not None]
    by_phase: dict[int, dict] = {phase.pk: defaultdict(dict) for phase in phases}
    if wanted:
        stored = TrendPoint.objects.filter(reduce(or_, wanted))
        keys = ("phase_id", "as_of", "metric_id", "variant_id")
        for (pk, day, metric, variant), moments in stored.added(*keys).items():
            by_phase[pk][day][metric, variant] = moments
    return by_phase


def _trend(
    experiment: Experiment,
    phase: Phase,
    goal: Metric | None,
    variants: Sequence[Variant],
    by_day: Mapping[date, MomentsByArm],
    options: Options,
) -> tuple[TrendLine, ...]:
    if goal is None or len(variants) < 2:
        return ()
    points: dict[str, list] = defaultdict(list)
    for day in sorted(by_day):
        for row in analyse(experiment, phase, [goal], variants, by_day[day], options, on=day):
            if row.lift is not None and row.interval is not None:
                points[row.variant.key].append((day, row.lift.estimate, row.interval))
    return tuple(TrendLine(variant, tuple(points[variant.key])) for variant in variants[1:])
