"""The vital signs that alarms are raised from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from recommendations.core.alarms import Vitals
from recommendations.models import Heartbeat, SystemReport, TrainingRun
from recommendations.models.outbox import Backlog
from recommendations.reports.learning import Serving
from recommendations.reports.machinery import Processes
from recommendations.reports.traffic import Traffic

_NAMES = {
    "freshness": "freshness",
    "effects": "the lag of effects",
    "storage": "sizes",
    "spread": "the spread of lists",
    "latency": "the day's latency",
}


def vitals(
    *,
    at: datetime,
    processes: Processes,
    backlog: Backlog,
    serving: Serving,
    last_run: TrainingRun | None,
    traffic: Traffic,
    counted_at: datetime | None,
    measurements: Mapping[str, SystemReport],
    unhealthy: Iterable[str] = (),
    harmful: Iterable[str] = (),
    pinned: Iterable[tuple[str, str]] = (),
) -> Vitals:
    """Return the vital signs of what other reports have read.

    The last run is the newest that ended: one at work must not hide that it failed.
    """
    failed = last_run is not None and last_run.status == TrainingRun.Status.FAILED
    broken = [
        (_NAMES.get(key, key), report.error or report.figures.get("missing", ""))
        for key, report in measurements.items()
    ]
    probe = measurements.get("freshness")
    return Vitals(
        worker_silent_seconds=processes.silent_seconds(Heartbeat.Kind.WORKER),
        beat_silent_seconds=processes.silent_seconds(Heartbeat.Kind.BEAT),
        outbox_open=backlog.n_open,
        outbox_oldest_seconds=backlog.oldest_seconds,
        dead_letters=backlog.n_dead,
        has_model=serving.version is not None,
        model_age_days=serving.age_days(at=at),
        training_failed=last_run.error.splitlines()[0][:200] if failed and last_run.error else "",
        requests=traffic.recent.n,
        errors=traffic.recent.n_errors,
        recommend_requests=traffic.recent_lists.n,
        recommend_fallbacks=traffic.recent_lists.n_fallbacks,
        recommend_p95_ms=traffic.recent_lists.p95,
        counted_seconds=(at - counted_at).total_seconds() if counted_at else None,
        broken_measurements=tuple((name, reason) for name, reason in broken if reason),
        list_changed=probe.figures.get("changed") if probe else None,
        unhealthy_experiments=tuple(unhealthy),
        harmful_experiments=tuple(harmful),
        pinned_arms=tuple(pinned),
    )
