"""What a web process serves from: the catalogue, the model and the trend, never more than 2 s old.

One row, `ServingState`, says which model serves and whether the catalogue changed.  It is read at
most once a second, by one of the request threads, while the others go on with what they have; so a
swap drops no request.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from django.conf import settings
from django.utils import timezone
from numpy.typing import NDArray

from musicrec.metrics import MODEL_FAILURES
from musicrec.replica import reading_primary
from recommendations.core.artefact import MANIFEST, CorruptArtefact, load
from recommendations.core.serving_model import ServingModel
from recommendations.models import ModelVersion, ServingState, TrackHeat
from recommendations.serving.catalogue import Catalogue, read_catalogue
from recommendations.serving.loaded import LoadedModel, align
from recommendations.serving.portraits import Portraits
from recommendations.serving.storage import artefact_store

logger = logging.getLogger(__name__)

TREND_SECONDS = 20.0


@dataclass(frozen=True, eq=False)
class Stage:
    """Everything a request ranks with, consistent in itself.

    Attributes:
        portraits: of listeners, by the catalogue and the model that serve.
        degraded: why it is not the one that should, or "".
        heat: recent listening per track of the catalogue, decayed to `heat_at`, shape (n_tracks,).
        heat_at: when that was read.
        wanted: (model version, catalogue version) that this answers to.
    """

    portraits: Portraits
    degraded: str
    heat: NDArray[np.float32]
    heat_at: datetime
    wanted: tuple[int | None, int]

    @property
    def catalogue(self) -> Catalogue:
        """The active tracks."""
        return self.portraits.catalogue

    @property
    def loaded(self) -> LoadedModel | None:
        """The model that serves, or None."""
        return self.portraits.loaded


class _Holder:
    def __init__(self) -> None:
        self.stage: Stage | None = None
        self.checked_at = 0.0
        self.trend_at = 0.0
        self.lock = threading.Lock()


_holder = _Holder()


def current() -> Stage:
    """Return what to serve from; at most a second behind the database, without a query else."""
    stage = _holder.stage
    if stage is not None and not _is_due():
        return stage
    if not _holder.lock.acquire(blocking=stage is None):
        assert stage is not None  # noqa: S101 (another thread refreshes; this one need not wait)
        return stage
    try:
        if _holder.stage is None or _is_due():
            with reading_primary():  # it serves everybody, whoever asks first
                _holder.stage = _refreshed(_holder.stage)
            _holder.checked_at = time.monotonic()
        return _holder.stage
    finally:
        _holder.lock.release()


def _is_due() -> bool:
    return time.monotonic() - _holder.checked_at >= settings.MUSICREC["REFRESH_SECONDS"]


def forget() -> None:
    """Drop what is held, so that the next request reads all of it again."""
    _holder.stage = None


def _refreshed(stage: Stage | None) -> Stage:
    state = ServingState.objects.select_related("model_version", "previous_version").first()
    wanted = (state.model_version_id, state.catalogue_version) if state is not None else (None, 0)
    trend_due = time.monotonic() - _holder.trend_at > TREND_SECONDS
    if stage is not None and stage.wanted == wanted and not trend_due:
        return stage
    catalogue = stage.catalogue if stage else None
    if catalogue is None or catalogue.version != wanted[1]:
        catalogue = read_catalogue(wanted[1])
    # A model that could not be loaded is tried again: its store may answer by now.
    settled = stage is not None and stage.degraded in ("", "no_model")
    if stage is not None and settled and stage.wanted == wanted and stage.catalogue is catalogue:
        portraits, degraded = stage.portraits, stage.degraded
    else:
        loaded, degraded = _load(state, catalogue, stage)
        portraits = Portraits(catalogue, loaded)
    now = timezone.now()
    heat = read_heat(catalogue, now)
    _holder.trend_at = time.monotonic()
    return Stage(portraits, degraded, heat, now, wanted)


def _load(
    state: ServingState | None, catalogue: Catalogue, stage: Stage | None
) -> tuple[LoadedModel | None, str]:
    """Load the model that should serve, or else the one before it."""
    if state is None or state.model_version is None:
        return None, "no_model"
    degraded = ""
    for version in (state.model_version, state.previous_version):
        if version is None:
            continue
        if stage and stage.loaded and stage.loaded.version == version.pk:
            return align(version.pk, stage.loaded.model, catalogue), degraded
        try:
            return align(version.pk, load_version(version), catalogue), degraded
        except CorruptArtefact:
            logger.exception("model %s cannot be loaded", version.pk)
            MODEL_FAILURES.inc()
            degraded = "previous_model"
    return None, "no_usable_model"


def load_version(version: ModelVersion) -> ServingModel:
    """Map a version's arrays into memory.

    Raises:
        CorruptArtefact: they are missing, damaged or not the ones that were registered.
    """
    return load(artefact_store().fetch(version.folder, version.manifest_sha256))


def manifest_sha256(folder: Path) -> str:
    """Return the checksum of an artefact's manifest, which holds those of its arrays."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def read_heat(catalogue: Catalogue, now: datetime) -> NDArray[np.float32]:
    """Return how much each track is listened to of late, decayed to `now`, shape (n_tracks,)."""
    heat = np.zeros(len(catalogue), np.float32)
    hot = list(TrackHeat.objects.values_list("track_id", "heat", "heat_at"))
    if not hot:
        return heat
    half_life = settings.MUSICREC["TRENDING_HALF_LIFE"].total_seconds()
    rows = catalogue.rows_of(np.array([pk for pk, _, _ in hot], np.int64))
    ages = np.array([max(0.0, (now - at).total_seconds()) for _, _, at in hot])
    values = np.array([value for _, value, _ in hot]) * 0.5 ** (ages / half_life)
    # What was added and taken out again may leave a trace below zero.
    heat[rows[rows >= 0]] = np.maximum(values[rows >= 0], 0.0)
    return heat
