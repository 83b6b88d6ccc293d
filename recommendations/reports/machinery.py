"""Who is alive, what is owed, and what the measurements said last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from recommendations.core.alarms import SILENT_SECONDS
from recommendations.models import Heartbeat, SystemReading, SystemReport


@dataclass(frozen=True)
class Process:
    """One process as its heartbeat has it.

    Attributes:
        silent_seconds: since the last heartbeat.
        state: "alive", "silent", or "stopped" where it said goodbye.
    """

    heartbeat: Heartbeat
    silent_seconds: float
    state: str


@dataclass(frozen=True)
class Processes:
    """Every process heard of in the last day."""

    rows: list[Process]

    def of(self, kind: str) -> list[Process]:
        """Return the processes of a kind."""
        return [process for process in self.rows if process.heartbeat.kind == kind]

    def silent_seconds(self, kind: str) -> float | None:
        """Return how long the whole kind has been silent; None if it was never heard of."""
        return min((process.silent_seconds for process in self.of(kind)), default=None)


def processes(*, at: datetime) -> Processes:
    """Return who is alive; one query."""
    rows = []
    for heartbeat in Heartbeat.objects.filter(beat_at__gt=at - timedelta(days=1)):
        silent = max((at - heartbeat.beat_at).total_seconds(), 0.0)
        state = "silent" if silent > SILENT_SECONDS else "alive"
        rows.append(Process(heartbeat, silent, "stopped" if heartbeat.stopped_at else state))
    rows.sort(key=lambda row: (row.heartbeat.kind, row.state != "alive", row.silent_seconds))
    return Processes(rows)


def measurements() -> dict[str, SystemReport]:
    """Return the newest result of every measurement by its key; one query."""
    return {report.key: report for report in SystemReport.objects.all()}


@dataclass(frozen=True)
class Reading:
    """The worst of ten minutes."""

    at: datetime
    outbox_open: int
    outbox_oldest_seconds: float
    freshness_ms: float | None


def readings(*, at: datetime) -> list[Reading]:
    """Return a day of readings, the worst of each ten minutes; one query."""
    worst: dict[datetime, Reading] = {}
    for row in SystemReading.objects.filter(at__gte=at - timedelta(days=1)).order_by("at"):
        tenth = row.at.replace(minute=row.at.minute // 10 * 10)
        before = worst.get(tenth)
        probes = [p for p in (row.freshness_ms, before and before.freshness_ms) if p is not None]
        worst[tenth] = Reading(
            tenth,
            max(row.outbox_open, before.outbox_open if before else 0),
            max(row.outbox_oldest_seconds, before.outbox_oldest_seconds if before else 0.0),
            max(probes, default=None),
        )
    return list(worst.values())
