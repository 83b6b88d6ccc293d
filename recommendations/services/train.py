"""Training runs: asking for one, carrying it out, comparing, promoting, rolling back."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from musicrec.exceptions import RuleViolation
from recommendations.core.artefact import CorruptArtefact, save
from recommendations.core.metrics import ndcg_at_k
from recommendations.core.serving_model import ServingModel
from recommendations.models import Feedback, ModelVersion, ServingState, TrainingRun
from recommendations.services import peers
from recommendations.services.snapshot import (
    Cut,
    Snapshot,
    judged,
    newest_cut,
    since,
    take_snapshot,
)
from recommendations.serving.state import load_version, manifest_sha256
from recommendations.serving.storage import UnavailableArtefact, artefact_store

logger = structlog.get_logger(__name__)

NEWEST_SHARE = 0.05
"""Share of the pairs, the newest, that training leaves for comparing challenger and champion."""

MAX_COMPARED = 2000
"""Listeners they are compared on, at most."""

RETRY_AFTER = timedelta(hours=1)
"""How long new responses start no run after one that failed."""

_LOCK_SPACE = 0x6D72  # first key of our advisory locks: "mr"

Report = Callable[[dict[str, Any]], None]


class TrainingUnderWay(RuleViolation):
    """A run is waiting or at work already."""

    code = "training_under_way"


class NothingToLearn(RuleViolation):
    """There is no listening to learn from."""

    code = "nothing_to_learn"


class NotServable(RuleViolation):
    """A version that cannot be promoted."""

    code = "not_servable"


def request_training(*, trigger: str, at: datetime, seed: int = 0) -> TrainingRun:
    """Create a run that waits to be carried out.

    Raises:
        TrainingUnderWay: there is an open run; there is never more than one.
    """
    try:
        with transaction.atomic():
            return TrainingRun.objects.create(trigger=trigger, seed=seed, requested_at=at)
    except IntegrityError as error:
        raise TrainingUnderWay("A training run is under way already.") from error


def train(
    run: TrainingRun,
    *,
    report: Report = lambda progress: None,
    workers: Sequence[str] = (),
) -> ModelVersion | None:
    """Carry a waiting run out; a second delivery of the same run does nothing.

    The run holds an advisory lock while its process lives, so that `fail_dead_runs` can tell one
    that works from one that was killed.

    Args:
        run: in state QUEUED.
        report: called with each report of progress, which is also kept in the run's row.
        workers: addresses of the processes that train together, this one's first; alone without.

    Returns:
        The new version, promoted or not; None where the run was not waiting.

    Raises:
        Exception: whatever stopped it; the run is FAILED then, and nothing else has changed.
    """
    with _lock(run) as held:
        if not held:
            return None
        queued = TrainingRun.objects.filter(pk=run.pk, status=TrainingRun.Status.QUEUED)
        if not queued.update(status=TrainingRun.Status.RUNNING, started_at=timezone.now()):
            return None
        try:
            version = _carry_out(run, report, workers)
        except BaseException as error:
            _remove_what_it_left(run)
            _fail(run, f"{type(error).__name__}: {error}")
            raise
        _succeed(run)
        return version


def fail_dead_runs() -> int:
    """Mark the runs whose process is gone as FAILED, and return how many there were.

    What such a run had saved is removed; one that came as far as a version has succeeded.
    """
    failed = 0
    for run in TrainingRun.objects.filter(status=TrainingRun.Status.RUNNING):
        with _lock(run) as held:
            if not held:
                continue
            if ModelVersion.objects.filter(run=run).exists():
                _succeed(run)
                continue
            _remove_what_it_left(run)
            failed += _fail(run, "The training process ended without finishing.")
    return failed


def metrics_of(model: ServingModel) -> dict[str, Any]:
    """Return what a version keeps of its training's measures, the reliability curve among them."""
    return {**model.metadata["metrics"], "reliability": model.metadata["reliability"]}


def _carry_out(run: TrainingRun, report: Report, workers: Sequence[str]) -> ModelVersion:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it speaks of GPUs that nobody has
    # TensorFlow takes 6 s and 600 MB to import: only here, in the training process.
    from recommendations.training.distributed import cluster
    from recommendations.training.fit import FitConfig, fit

    progress = _RunProgress(run, report)
    began = time.monotonic()
    snapshot = take_snapshot()
    if not len(snapshot.interactions):
        raise NothingToLearn("There are no plays, ratings or other responses to learn from.")
    config = FitConfig()
    # A listener all of whose pairs come after the cut is left out, and folded in when served.
    cut = newest_cut(snapshot, share=NEWEST_SHARE)
    known = snapshot.interactions.take(~since(snapshot, cut))
    TrainingRun.objects.filter(pk=run.pk).update(
        snapshot={**snapshot.describe(), "cut": cut}, parameters=dataclasses.asdict(config)
    )
    progress({"stage": "snapshot", **snapshot.describe()})
    if workers:
        peers.share(run, known, snapshot.content, snapshot.track_pks)
    try:
        with cluster(workers, 0):
            fitted = fit(
                known,
                snapshot.content,
                config=config,
                seed=run.seed,
                track_ids=snapshot.track_pks,
                progress=progress,
            )
    finally:
        peers.forget(run)
    # Runs count anew in a new database; its folders must not meet those of an old one.
    folder = f"run-{run.pk:06d}-{secrets.token_hex(4)}"
    path = Path(settings.MODELS_DIR) / folder
    # Kept in the run's row before there is anything, so that nothing is left that nobody knows of.
    progress({"stage": "artefact", "folder": folder})
    save(path, fitted.model)
    artefact_store().publish(path)
    comparison = compare(snapshot, cut, fitted.model)
    progress({"stage": "comparison", **comparison})
    with transaction.atomic():
        version = ModelVersion.objects.create(
            run=run,
            folder=folder,
            manifest_sha256=manifest_sha256(path),
            n_parameters=fitted.n_parameters,
            n_listeners=len(snapshot.listener_pks),
            n_tracks=len(snapshot.track_pks),
            seconds=time.monotonic() - began,
            metrics=metrics_of(fitted.model),
            comparison=comparison,
            verdict=verdict_on(comparison),
        )
        if _is_better(comparison):
            promote(version, at=timezone.now())
    return version


def compare(snapshot: Snapshot, cut: Cut, challenger: ServingModel) -> dict[str, Any]:
    """Measure challenger and champion on newest pairs that neither learned, listener by listener.

    Each ranks the whole catalogue for what a listener had done before; tracks the champion does
    not know yet count against it, as they do for the listener.

    Args:
        snapshot: what there is.
        cut: the challenger learned from the pairs before it.  The champion's own may be later, as
            after an import of an old history; then that one counts.
        challenger: the model that is to be better than the one that serves.

    Returns:
        `listeners`, `challenger` and `champion` (NDCG@10, None without one or without listeners),
        `champion_version`, whether `champion_loads`, and the standard error of the difference.
    """
    state = ServingState.objects.select_related("model_version__run").first()
    champion_version = state.model_version if state else None
    champion = None
    if champion_version is not None:
        with contextlib.suppress(CorruptArtefact):  # a champion that cannot serve has lost
            champion = load_version(champion_version)
            # A model of before the cut was kept has none.
            cut = max(cut, Cut(*champion_version.run.snapshot.get("cut", cut)))
    interactions = snapshot.interactions
    histories = interactions.take(~since(snapshot, cut)).by_user()
    wanted = interactions.take(judged(snapshot, cut) & (interactions.preference >= 0.5))
    users = np.unique(wanted.user_rows)
    if len(users) > MAX_COMPARED:
        users = np.random.default_rng(0).choice(users, MAX_COMPARED, replace=False)
    scores: dict[str, list[float]] = {"challenger": [], "champion": []}
    for user in users:
        rows, preferences = histories.of(int(user))
        relevant = wanted.track_rows[wanted.user_rows == user]
        for name, model in (("challenger", challenger), ("champion", champion)):
            if model is not None:
                ranking = _ranking(model, snapshot, rows, preferences)
                scores[name].append(ndcg_at_k(ranking, set(relevant.tolist()), k=10))
    result: dict[str, Any] = {
        "listeners": len(users),
        "challenger": _mean(scores["challenger"]),
        "champion": _mean(scores["champion"]),
        "champion_version": champion_version.pk if champion_version else None,
        "champion_loads": champion is not None,
    }
    if champion is not None and len(users) > 1:
        difference = np.subtract(scores["challenger"], scores["champion"])
        result["difference_se"] = float(difference.std(ddof=1) / np.sqrt(len(users)))
    return result


def _ranking(
    model: ServingModel, snapshot: Snapshot, rows: np.ndarray, preferences: np.ndarray
) -> np.ndarray:
    """Return the snapshot's rows of a model's ten best tracks that are not in the history."""
    to_snapshot = np.searchsorted(snapshot.track_pks, model.track_ids)
    inside = to_snapshot < len(snapshot.track_pks)
    inside[inside] = snapshot.track_pks[to_snapshot[inside]] == model.track_ids[inside]
    of_snapshot = np.full(len(snapshot.track_pks), -1)
    of_snapshot[to_snapshot[inside]] = np.flatnonzero(inside)
    known = of_snapshot[rows] >= 0
    scores = model.neural_scores(model.fold_in(of_snapshot[rows[known]], preferences[known]))
    scores = np.where(inside, scores, -np.inf)
    scores[of_snapshot[rows[known]]] = -np.inf
    return to_snapshot[np.argsort(-scores, kind="stable")[:10]]


def _is_better(comparison: dict[str, Any]) -> bool:
    if comparison["champion_version"] is None or not comparison["champion_loads"]:
        return True
    if not comparison["listeners"]:  # what serves well is not given up for what nobody has judged
        return False
    return comparison["challenger"] > comparison["champion"]


def verdict_on(comparison: dict[str, Any]) -> str:
    """Return, in words, whether the challenger was promoted and why."""
    version = comparison["champion_version"]
    if version is None:
        return "Promoted: there was no model before it."
    if not comparison["champion_loads"]:
        return f"Promoted: model {version}, which it replaces, cannot be loaded."
    if not comparison["listeners"]:
        return f"Kept, not served: no new responses tell whether it is better than model {version}."
    numbers = (
        f"NDCG@10 {comparison['challenger']:.4f} against {comparison['champion']:.4f} of model "
        f"{version}, on the newest responses of {comparison['listeners']} listeners"
    )
    return f"Promoted: {numbers}." if _is_better(comparison) else f"Kept, not served: {numbers}."


@transaction.atomic
def promote(version: ModelVersion, *, at: datetime) -> None:
    """Serve `version`; web processes take it up within 2 s, the one before stays as a fall-back.

    Raises:
        NotServable: its artefact cannot be loaded.
    """
    try:
        load_version(version)
    except CorruptArtefact as error:
        raise NotServable(f"Model {version.pk} cannot be served: {error}.") from error
    ServingState.objects.get_or_create(pk=1)
    state = ServingState.objects.select_for_update().get(pk=1)
    if state.model_version_id == version.pk:
        return
    state.previous_version = state.model_version
    state.model_version = version
    state.save(update_fields=["model_version", "previous_version"])
    ModelVersion.objects.filter(pk=version.pk).update(promoted_at=at)


def roll_back(*, at: datetime) -> ModelVersion:
    """Serve the version that served before, and return it.

    Raises:
        NotServable: there is none, or it cannot be loaded.
    """
    state = ServingState.objects.select_related("previous_version").first()
    if state is None or state.previous_version is None:
        raise NotServable("There is no earlier model to go back to.")
    promote(state.previous_version, at=at)
    return state.previous_version


def is_due(*, at: datetime) -> bool:
    """Return whether enough feedback has come since the last run's snapshot.

    Not at once after a failure: what stopped that run would most likely stop the next one.
    """
    if TrainingRun.objects.open().exists():
        return False
    newest = TrainingRun.objects.ended().first()
    if newest and newest.status == TrainingRun.Status.FAILED:
        failed_at = newest.finished_at or newest.requested_at
        if at < failed_at + RETRY_AFTER:
            return False
    last = TrainingRun.objects.filter(status=TrainingRun.Status.SUCCEEDED).first()
    seen = last.snapshot.get("last_feedback", 0) if last else 0
    threshold = settings.MUSICREC["RETRAIN_AFTER"]
    newer = Feedback.objects.filter(pk__gt=seen, received_at__lte=at)
    return newer[threshold - 1 : threshold].exists()


class _RunProgress:
    """Keeps reports in the run's row, and hands them on."""

    def __init__(self, run: TrainingRun, report: Report) -> None:
        self._run, self._report = run, report
        self._reports: list[dict[str, Any]] = []

    def __call__(self, progress: dict[str, Any]) -> None:
        self._reports.append({"at": timezone.now().isoformat(), **progress})
        TrainingRun.objects.filter(pk=self._run.pk).update(progress=self._reports)
        self._report(progress)


@contextlib.contextmanager
def _lock(run: TrainingRun) -> Iterator[bool]:
    """Hold the run's advisory lock, which ends with this process's connection at the latest."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK_SPACE, run.pk])
        (held,) = cursor.fetchone()
    try:
        yield held
    finally:
        if held:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK_SPACE, run.pk])


def _remove_what_it_left(run: TrainingRun) -> None:
    """Remove what a run saved and published, where it did not come as far as a version.

    A store that does not answer leaves it there: the run must end all the same.
    """
    for report in TrainingRun.objects.values_list("progress", flat=True).get(pk=run.pk):
        folder = report.get("folder")
        if folder is None or ModelVersion.objects.filter(folder=folder).exists():
            continue
        try:
            artefact_store().remove(folder)
        except UnavailableArtefact as error:
            logger.warning("what training run %s left stays there: %s", run.pk, error)


def _succeed(run: TrainingRun) -> None:
    TrainingRun.objects.filter(pk=run.pk).update(
        status=TrainingRun.Status.SUCCEEDED, finished_at=timezone.now()
    )


def _fail(run: TrainingRun, error: str) -> int:
    # CloudWatch counts the event by its name (deploy/ecs/musicrec.yml).
    logger.error("training_failed", run=run.pk, error=error)
    return (
        TrainingRun.objects.open()
        .filter(pk=run.pk)
        .update(status=TrainingRun.Status.FAILED, error=error[:5000], finished_at=timezone.now())
    )


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
