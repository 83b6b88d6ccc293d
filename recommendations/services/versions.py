"""Models other than the one that serves, loaded to be looked at; never on the way of a listener."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from musicrec.exceptions import RuleViolation
from recommendations.core.artefact import CorruptArtefact
from recommendations.core.serving_model import ServingModel
from recommendations.models import ModelVersion
from recommendations.serving.loaded import align
from recommendations.serving.portraits import Portraits
from recommendations.serving.state import Stage, load_version

WAIT_SECONDS = 5.0
_one_at_a_time = threading.Semaphore(1)


class NotReadable(RuleViolation):
    """The version's files are damaged or gone."""

    code = "not_readable"


class Busy(RuleViolation):
    """Somebody else is looking at models in this process."""

    code = "busy"


@contextmanager
def looking() -> Iterator[None]:
    """Hold this process's one place for such work, so that listeners keep the other threads.

    Raises:
        Busy: it was not free for some seconds.
    """
    if not _one_at_a_time.acquire(timeout=WAIT_SECONDS):
        raise Busy("Somebody is comparing models in this process; try again in a moment.")
    try:
        yield
    finally:
        _one_at_a_time.release()


def stage_of(version: ModelVersion | None, stage: Stage) -> Stage:
    """Return `stage` as it would be with this version; with none, as it would be without a model.

    Raises:
        NotReadable: its files are damaged or gone.
    """
    if version is None:
        return dataclasses.replace(
            stage, portraits=Portraits(stage.catalogue, None), degraded="no_model"
        )
    if stage.loaded is not None and stage.loaded.version == version.pk:
        return stage
    try:
        model = _loaded(version.pk, version.folder, version.manifest_sha256)
    except CorruptArtefact as error:
        raise NotReadable(f"Model {version.pk} cannot be read: {error}.") from error
    loaded = align(version.pk, model, stage.catalogue)
    return dataclasses.replace(stage, portraits=Portraits(stage.catalogue, loaded), degraded="")


@lru_cache(maxsize=2)
def _loaded(pk: int, folder: str, sha256: str) -> ServingModel:
    """Return a version's arrays, mapped; the two last asked for stay."""
    return load_version(ModelVersion(pk=pk, folder=folder, manifest_sha256=sha256))
