"""What the page and the JSON take and give."""

from typing import Any

from rest_framework import serializers

from experiments.core.intervals import Method
from experiments.reports import Report, Result, Summary


class OptionsSerializer(serializers.Serializer):
    """The query string: which experiment, and the switches of its results."""

    experiment = serializers.SlugField(
        max_length=50, required=False, help_text="key; one experiment alone"
    )
    cuped = serializers.BooleanField(default=True, help_text="use what came before exposure")
    interval = serializers.ChoiceField(
        choices=[method.value for method in Method],
        required=False,
        help_text="the experiment's own unless given; fixed must not be looked at repeatedly",
    )
    lift = serializers.ChoiceField(choices=["relative", "absolute"], default="relative")
    engine = serializers.ChoiceField(choices=["frequentist", "bayesian"], default="frequentist")
    segment = serializers.CharField(
        max_length=32, default="", allow_blank=True, help_text="new, returning, or new/mobile"
    )


def summary_data(summary: Summary) -> dict[str, Any]:
    """Return what JSON says of an experiment in the list."""
    experiment, phase = summary.experiment, summary.phase
    return {
        "experiment": experiment.key,
        "hypothesis": experiment.hypothesis,
        "status": experiment.status,
        "phase": experiment.phase_number,
        "started_at": phase.started_at if phase else None,
        "ended_at": phase.ended_at if phase else None,
        "listeners": summary.listeners,
        "planned_listeners": phase.planned_listeners if phase else experiment.planned_listeners,
        "days": round(summary.days, 3),
        "verdict": {
            "kind": phase.verdict,
            "words": phase.verdict_words,
            "variant": phase.verdict_variant or None,
            "listeners_left": phase.listeners_left,
            "days_left": phase.days_left,
            "judged_at": phase.judged_at,
        }
        if phase and phase.verdict
        else None,
        "badges": [badge.words for badge in summary.badges],
    }


def report_data(report: Report) -> dict[str, Any]:
    """Return what JSON says of one experiment."""
    phase = report.summary.phase
    return summary_data(report.summary) | {
        "is_simulated": report.is_simulated,
        "options": {
            "cuped": report.options.cuped,
            "interval": report.options.method.value,
            "lift": "relative" if report.options.relative else "absolute",
            "segment": report.segment or None,
        },
        "variants": [
            {
                "variant": variant.key,
                "policy": variant.policy,
                "weight": variant.weight,
                "is_baseline": variant.position == 0,
                "stopped_at": variant.stopped_at,
                "stop_reason": variant.stop_reason or None,
                "listeners": report.totals.get(variant.key, 0),
                "exposures": [
                    {"day": day, "cumulative": n}
                    for day, n in report.exposures.get(variant.key, ())
                ],
            }
            for variant in report.variants
        ],
        "metrics": [result_data(result) for result in report.results],
        "trend": [
            {
                "variant": line.variant.key,
                "points": [
                    {"day": day, "lift": lift, "low": between.low, "high": between.high}
                    for day, lift, between in line.points
                ],
            }
            for line in report.trend
        ],
        "health": phase.checks if phase else [],
        "looks": phase.looks if phase else 0,
    }


def result_data(result: Result) -> dict[str, Any]:
    """Return one metric of one variant, flat, as JSON and CSV give it."""
    lift, between = result.lift, result.interval
    return {
        "metric": result.metric.key,
        "role": result.role,
        "kind": result.metric.kind,
        "higher_is_better": result.metric.higher_is_better,
        "variant": result.variant.key,
        "listeners": result.n,
        "numerator": result.numerator,
        "denominator": result.denominator,
        "value": result.value,
        "lift": lift.estimate if lift else None,
        "low": between.low if between else None,
        "high": between.high if between else None,
        "p_value": between.p_value if between else None,
        "p_adjusted": result.p_adjusted,
        "chance_to_win": result.chance_to_win,
        "risk": result.risk,
        "theta": lift.theta if lift else None,
        "problem": result.problem or None,
    }
