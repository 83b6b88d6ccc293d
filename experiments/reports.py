"""What the page, the JSON, the CSV and the command show of experiments; reads only stored sums."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from experiments.analysis import Options, Result, analyse
from experiments.core.intervals import Interval
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
from experiments.services.judging import current_moments

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
    """Return the report on an experiment's newest phase; about ten queries, whatever its size."""
    phases = list(experiment.phases.all())
    variants = tuple(experiment.variants.all())
    if not phases:
        blank = _summary(experiment, {}, at)
        return Report(blank, options, segment, (), variants, (), {}, {}, (), None, False)
    phase = phases[-1]
    phase.experiment = experiment
    metrics = sorted(
        Metric.objects.filter(key__in=phase.metric_roles),
        key=lambda metric: (ROLE_ORDER[Role(phase.metric_roles[metric.key])], metric.key),
    )
    moments = current_moments(phase, segment=segment)
    results = analyse(experiment, phase, metrics, variants, moments, options)
    counts = list(ExposureCount.objects.filter(phase=phase))
    by_phase = {phase.pk: sum(row.n for row in counts)}
    goal = next((m for m in metrics if phase.metric_roles[m.key] == Role.GOAL), None)
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
        trend=_trend(experiment, phase, goal, variants, options),
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


def _trend(
    experiment: Experiment,
    phase: Phase,
    goal: Metric | None,
    variants: Sequence[Variant],
    options: Options,
) -> tuple[TrendLine, ...]:
    if goal is None or len(variants) < 2:
        return ()
    stored = TrendPoint.objects.filter(phase=phase, metric=goal).added("as_of", "variant_id")
    by_day: dict[date, dict] = defaultdict(dict)
    for (day, variant_id), moments in stored.items():
        by_day[day][goal.pk, variant_id] = moments
    points: dict[str, list] = defaultdict(list)
    for day in sorted(by_day):
        for row in analyse(experiment, phase, [goal], variants, by_day[day], options):
            if row.lift is not None and row.interval is not None:
                points[row.variant.key].append((day, row.lift.estimate, row.interval))
    return tuple(TrendLine(variant, tuple(points[variant.key])) for variant in variants[1:])
