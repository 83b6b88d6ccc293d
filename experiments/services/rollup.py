"""The resumable job that turns per-listener totals into sums, and sums into a verdict."""

import time
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F

from experiments.models import Metric, Phase, RollUp, RollUpStep
from experiments.services import recomputation
from experiments.services.cohorts import count_exposures, roll_up_metric
from experiments.services.judging import judge_phase

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
