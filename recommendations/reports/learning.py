"""Models and training runs, as pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from recommendations.models import ModelVersion, ServingState, TrainingRun


@dataclass(frozen=True)
class Serving:
    """What serves, and what served before."""

    version: ModelVersion | None
    previous: ModelVersion | None

    def age_days(self, *, at: datetime) -> float | None:
        """Return how long ago the serving version was trained."""
        return (
            None
            if self.version is None
            else (at - self.version.created_at).total_seconds() / 86_400
        )


def serving() -> Serving:
    """Return what serves; one query."""
    state = ServingState.objects.select_related(
        "model_version__run", "previous_version__run"
    ).first()
    return (
        Serving(None, None)
        if state is None
        else Serving(state.model_version, state.previous_version)
    )


def versions(limit: int = 20) -> QuerySet[ModelVersion]:
    """Return the newest versions with their runs; one query."""
    return ModelVersion.objects.select_related("run")[:limit]


def runs(limit: int = 10) -> list[TrainingRun]:
    """Return the newest training runs; one query."""
    return list(TrainingRun.objects.order_by("-requested_at")[:limit])


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: what it is at, or "".
        share: of its stages, 0 to 1; None before the first report.
        losses: loss per epoch of the network's last pass.
        seconds: since it started, or that it took.
    """

    stage: str
    share: float | None
    losses: list[float]
    seconds: float | None


_STAGES = (
    "snapshot",
    "split",
    "factorization",
    "item_to_item",
    "network",
    "blend",
    "calibration",
    "refit",
    "artefact",
    "comparison",
)


def progress(run: TrainingRun, *, at: datetime) -> Progress:
    """Return how far a run is, from the reports in its row."""
    reports: list[dict[str, Any]] = run.progress
    stage = reports[-1].get("stage", "") if reports else ""
    reached = [_STAGES.index(r["stage"]) for r in reports if r.get("stage") in _STAGES]
    share = (max(reached) + 1) / len(_STAGES) if reached else None
    if run.status == TrainingRun.Status.SUCCEEDED:
        share = 1.0
    losses: list[float] = []
    for report in reports:
        if report.get("stage") == "network" and isinstance(report.get("loss"), int | float):
            if report.get("epoch") == 1:
                losses = []
            losses.append(float(report["loss"]))
    seconds = None
    if run.started_at:
        seconds = ((run.finished_at or at) - run.started_at).total_seconds()
    return Progress(stage, share, losses, seconds)
