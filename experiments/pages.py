"""Reports as the templates need them: numbers already words, charts already drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from math import isfinite
from typing import Any
from urllib.parse import urlencode

from django.utils.safestring import SafeString

from experiments.models import Metric
from experiments.reports import Report, Result, Summary
from musicrec.charts import Series, css_class, interval_bar, line_chart

SWITCHES = {
    "cuped": (("true", "with history (CUPED)"), ("false", "without history")),
    "interval": (("sequential", "sequential"), ("hybrid", "hybrid"), ("fixed", "fixed")),
    "lift": (("relative", "relative"), ("absolute", "absolute")),
    "engine": (("frequentist", "p-values"), ("bayesian", "chance to win")),
}
SWITCH_NAMES = {
    "cuped": "Variance",
    "interval": "Interval",
    "lift": "Change",
    "engine": "Evidence",
    "segment": "Listeners",
}


@dataclass(frozen=True)
class ResultRow:
    """One variant's line under a metric."""

    variant: str
    css_class: str
    is_baseline: bool
    value: str
    counts: str
    change: str
    bounds: str
    bar: SafeString
    evidence: str
    outcome: str
    tone: str
    problem: str


def list_page(summaries: list[Summary]) -> dict[str, Any]:
    """Return the context of the list."""
    return {
        "rows": [
            {
                "summary": summary,
                "percent": round(
                    100 * summary.listeners / max(summary.experiment.planned_listeners, 1)
                ),
                "days": f"{summary.days:.1f}",
            }
            for summary in summaries
        ]
    }


def detail_page(report: Report, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the context of one experiment's page."""
    phase = report.summary.phase
    experiment = report.summary.experiment
    return {
        "report": report,
        "experiment": experiment,
        "phase": phase,
        "days": f"{report.summary.days:.1f}",
        "verdict_tone": next((badge.tone for badge in report.summary.badges[1:] if badge.tone), ""),
        "smallest_effect": f"{experiment.smallest_effect:.1%}",
        "variants": [
            {
                "variant": variant,
                "css_class": css_class(variant.policy),
                "weight": f"{variant.weight:.0%}",
                "listeners": report.totals.get(variant.key, 0),
            }
            for variant in report.variants
        ],
        "exposures_chart": _exposures_chart(report),
        "trend_chart": _trend_chart(report),
        "metrics": _metrics(report),
        "switches": _switches(report, asked),
        "csv_url": "?" + urlencode({**_kept(report, asked), "format": "csv"}),
        "history": list(
            experiment.history.select_related("history_user").order_by("-history_date")[:20]
        ),
    }


def in_unit(value: float | None, metric: Metric) -> str:
    """Return a value with its unit."""
    if value is None:
        return "no data"
    if metric.unit == "%":
        return f"{value:.1%}"
    return f"{value:,.3g} {metric.unit}".strip() if abs(value) < 1000 else f"{value:,.0f}"


def change_words(value: float, *, relative: bool, metric: Metric) -> str:
    """Return a change with its sign."""
    if not isfinite(value):
        return "−∞" if value < 0 else "∞"
    if relative:
        return f"{value:+.1%}"
    return f"{100 * value:+.2f} points" if metric.unit == "%" else f"{value:+.3g}"


def _metrics(report: Report) -> list[dict[str, Any]]:
    metrics = []
    for metric, rows in groupby(report.results, key=lambda result: result.metric):
        results = list(rows)
        bounds = [
            abs(bound)
            for result in results
            if result.interval is not None and result.lift is not None
            for bound in (result.interval.low, result.interval.high, result.lift.estimate)
            if isfinite(bound)
        ]
        reach = max(bounds, default=0.0) * 1.05
        metrics.append(
            {
                "metric": metric,
                "role": results[0].role,
                "rows": [_row(result, report, reach) for result in results],
            }
        )
    return metrics


def _row(result: Result, report: Report, reach: float) -> ResultRow:
    metric, lift, between = result.metric, result.lift, result.interval
    relative = report.options.relative
    base = {
        "variant": result.variant.key,
        "css_class": css_class(result.variant.policy),
        "is_baseline": result.is_baseline,
        "value": in_unit(result.value, metric),
        "counts": f"{result.numerator:,.0f} / {result.denominator:,.0f}, n = {result.n:,}",
        "problem": result.problem,
    }
    if lift is None or between is None:
        blank = dict.fromkeys(("change", "bounds", "evidence", "outcome", "tone"), "")
        return ResultRow(**base, **blank, bar=SafeString(""))
    comparison = result.comparison()
    outcome, tone = "not decided", ""
    if comparison.is_better():
        outcome, tone = "better", "good"
    elif comparison.is_worse():
        outcome, tone = "worse", "bad"
    if comparison.does_harm():
        outcome, tone = "does harm", "bad"
    change = change_words(lift.estimate, relative=relative, metric=metric)
    low, high = (
        change_words(bound, relative=relative, metric=metric)
        for bound in (between.low, between.high)
    )
    evidence = f"p = {result.p_adjusted:.3f}" if (result.p_adjusted or 0) >= 0.001 else "p < 0.001"
    if report.options.bayesian:
        evidence = f"{result.chance_to_win:.1%} chance to win"
    return ResultRow(
        **base,
        change=change,
        bounds=f"{low} to {high}",
        evidence=evidence,
        outcome=outcome,
        tone=tone,
        bar=interval_bar(
            lift.estimate,
            between.low,
            between.high,
            reach=reach,
            tone=tone,
            words=f"{result.variant.key}: {change}, {low} to {high}",
        ),
    )


def _exposures_chart(report: Report) -> SafeString:
    return line_chart(
        [
            Series(
                name=variant.key,
                strategy=variant.policy,
                points=[(day, float(n)) for day, n in report.exposures.get(variant.key, ())],
            )
            for variant in report.variants
        ],
        title="Listeners exposed, cumulative, per variant",
        description="The table below the chart has every number.",
    )


def _trend_chart(report: Report) -> SafeString:
    scale = 100 if report.options.relative else 1
    return line_chart(
        [
            Series(
                name=line.variant.key,
                strategy=line.variant.policy,
                points=[(day, scale * lift) for day, lift, _ in line.points],
                band=[(scale * b.low, scale * b.high) for _, _, b in line.points],
            )
            for line in report.trend
        ],
        title="Change of the goal against the baseline, with its interval, day by day",
        description="Bands are intervals. The table below the chart has every number.",
        unit="%" if report.options.relative else "",
        signed=True,
    )


def _kept(report: Report, asked: Mapping[str, Any]) -> dict[str, str]:
    return {
        "experiment": report.summary.experiment.key,
        "cuped": str(asked["cuped"]).lower(),
        "interval": report.options.method.value,
        "lift": asked["lift"],
        "engine": asked["engine"],
        "segment": report.segment,
    }


def _switches(report: Report, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    kept = _kept(report, asked)
    choices = SWITCHES | {
        "segment": (("", "everybody"), *((segment, segment) for segment in report.segments))
    }
    return [
        {
            "name": SWITCH_NAMES[name],
            "field": name,
            "choices": [
                {"value": value, "words": words, "is_on": kept[name] == value}
                for value, words in choices[name]
            ],
        }
        for name in SWITCHES | {"segment": ()}
    ]
