"""How the system itself is doing, and what the console's numbers mean."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from musicrec.charts import Series, line_chart
from recommendations.models import ModelVersion, OutboxEvent, SystemReport
from recommendations.reports import model_quality
from recommendations.reports.activity import activity
from recommendations.reports.definitions import ALARM_TEXTS, DEFINITIONS
from recommendations.reports.learning import Serving, progress, runs, serving
from recommendations.reports.machinery import Processes, measurements, processes, readings
from recommendations.reports.traffic import Timing, traffic
from recommendations.views.console.base import ConsolePage, ConsoleView


class SystemMetricsView(ConsoleView):
    """Model, training, latency, faults, freshness, queues, processes, sizes, spread."""

    template_name = "console/system.html"
    fragment_name = "console/_system.html"

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Report on the system; every figure comes from tables, so any process answers alike."""
        at = timezone.now()
        found = {
            "at": at,
            "today": activity(at=at, days=8),
            "serving": serving(),
            "runs": runs(limit=6),
            "traffic": traffic(at=at),
            "backlog": OutboxEvent.objects.backlog(at=at),
            "processes": processes(at=at),
            "measured": measurements(),
        }
        if not self.is_page:
            return Response(_data(**found))
        return self.page(_page(**found, drawn=readings(at=at)))


def _data(
    at: datetime,
    today: Any,
    serving: Serving,
    runs: list,
    traffic: Any,
    backlog: Any,
    processes: Processes,
    measured: dict[str, SystemReport],
) -> dict[str, Any]:
    version = serving.version
    return {
        "generated_at": at,
        "model": None if version is None else model_data(version, at=at),
        "training_runs": [
            {
                "run": run.pk,
                "status": run.status,
                "trigger": run.trigger,
                "requested_at": run.requested_at,
                "finished_at": run.finished_at,
                "error": run.error,
                "progress": asdict(progress(run, at=at)),
            }
            for run in runs
        ],
        "requests": {
            "window_minutes": 60,
            "total": _timing(traffic.total),
            "endpoints": [_timing(timing) for timing in traffic.endpoints],
            "strategies": [_timing(timing) for timing in traffic.strategies],
        },
        "fallback_rate_today": today.figures["fallback-rate"].value,
        "ab_coverage_today": today.figures["experiment-coverage"].value,
        "outbox": asdict(backlog),
        "processes": [
            {
                "name": process.heartbeat.name,
                "kind": process.heartbeat.kind,
                "state": process.state,
                "silent_seconds": process.silent_seconds,
                "started_at": process.heartbeat.started_at,
            }
            for process in processes.rows
        ],
        "measurements": {
            key: {
                "computed_at": report.computed_at,
                "error": report.error or None,
                **report.figures,
            }
            for key, report in sorted(measured.items())
        },
    }


def model_data(version: ModelVersion, *, at: datetime) -> dict[str, Any]:
    """Return a version as JSON says it."""
    quality = model_quality.of(version)
    return {
        "version": version.pk,
        "parameters": version.n_parameters,
        "trained_at": version.created_at,
        "age_days": (at - version.created_at).total_seconds() / 86_400,
        "training_seconds": version.seconds,
        "trained_on": version.run.snapshot,
        "listeners": version.n_listeners,
        "tracks": version.n_tracks,
        "mae_stars": quality.mae,
        "ndcg_at_10": quality.ndcg,
        "expected_calibration_error": quality.calibration_error,
        "first_stage_recall_at_100": quality.first_stage_recall,
        "cells_recall_at_100": quality.cells_recall,
        "calibration_curve": [asdict(point) for point in quality.calibration],
        "metrics": version.metrics,
        "comparison": version.comparison,
        "verdict": version.verdict,
    }


def _timing(timing: Timing) -> dict[str, Any]:
    return asdict(timing) | {
        "error_rate": timing.error_rate,
        "fallback_rate": timing.fallback_rate,
        "unit": "ms",
    }


def _page(
    at: datetime,
    today: Any,
    serving: Serving,
    runs: list,
    traffic: Any,
    backlog: Any,
    processes: Processes,
    measured: dict[str, SystemReport],
    drawn: list,
) -> dict[str, Any]:
    version = serving.version
    quality = model_quality.of(version) if version else None
    return {
        "at": at,
        "today": today,
        "version": version,
        "age_days": serving.age_days(at=at),
        "quality": quality,
        "calibration_chart": model_quality.calibration_chart(quality) if quality else "",
        "runs": [{"run": run, "progress": progress(run, at=at)} for run in runs],
        "traffic": traffic,
        "backlog": backlog,
        "processes": processes.rows,
        "measured": measured,
        "latency_chart": _latency_chart(measured.get("latency")),
        "backlog_chart": line_chart(
            [Series("effects", [(row.at, float(row.outbox_open)) for row in drawn])],
            title="Effects owed, the most of each ten minutes, last day (UTC)",
            description="The table below the chart has every number.",
        ),
        "freshness_chart": line_chart(
            [
                Series(
                    "probe",
                    [(r.at, r.freshness_ms) for r in drawn if r.freshness_ms is not None],
                )
            ],
            title="Milliseconds from a like to a changed list, the slowest of each ten minutes",
            description="The table below the chart has every number.",
        ),
        "readings": list(reversed(drawn)),
        "lorenz_chart": model_quality.lorenz_chart(_figures(measured, "spread").get("lorenz", [])),
    }


def _figures(measured: dict[str, SystemReport], key: str) -> dict[str, Any]:
    return measured[key].figures if key in measured else {}


def _latency_chart(report: SystemReport | None) -> str:
    points = report.figures.get("points", []) if report else []
    return line_chart(
        [
            Series(
                name,
                [
                    (datetime.fromisoformat(point["at"]), point[name])
                    for point in points
                    if point[name] is not None
                ],
            )
            for name in ("p50", "p95", "p99")
        ],
        title="Milliseconds of POST /recommend by quarter of an hour, last day (UTC)",
        description="The table below the chart has every number.",
    )


class DefinitionsView(ConsolePage):
    """How each number is computed, and what each alarm means."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show both."""
        return self.render(
            "console/definitions.html",
            {"definitions": DEFINITIONS.items(), "alarms": ALARM_TEXTS.items()},
        )
