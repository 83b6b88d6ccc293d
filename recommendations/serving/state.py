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
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache, partial
from pathlib import Path

import numpy as np
from django.conf import settings
from django.utils import timezone
from numpy.typing import NDArray

from musicrec.metrics import MODEL_FAILURES
from recommendations.core.artefact import MANIFEST, CorruptArtefact, load
from recommendations.core.content import StatedTaste
from recommendations.core.serving_model import Listener, ServingModel
from recommendations.models import ModelVersion, ServingState, TrackHeat
from recommendations.serving.catalogue import Catalogue, read_catalogue
from recommendations.serving.storage import artefact_store

logger = logging.getLogger(__name__)

TREND_SECONDS = 20.0

KEPT_BYTES = 64_000_000
"""What listeners of late may take in a process's memory, scored as the model sees them."""

BYTES_PER_TRACK = 20
"""Of a listener: two scores of each track, and links with their columns where all are linked."""

BYTES_TOLD = 40_000
"""Of a listener: at most, what was told of the tracks of the last lists."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model in memory, with where its tracks stand in the catalogue.

    Attributes:
        version: primary key of the `ModelVersion`.
        model: its arrays.
        rows: row in the catalogue of each of the model's tracks, -1 where it is not active.
        model_rows: row in the model of each track of the catalogue, -1 where it is newer.
    """

    version: int
    model: ServingModel
    rows: NDArray[np.intp]
    model_rows: NDArray[np.intp]

    def listener(
        self,
        track_rows: NDArray[np.int64],
        preferences: NDArray[np.float32],
        *,
        stated: StatedTaste,
        user_vector: NDArray[np.float32],
    ) -> Listener:
        """Return a listener as the model sees them.

        The same one, with the scores it has by now, as long as that history, these wishes and this
        vector are among those that came last; so a list between two responses costs less.
        """
        arrays = (track_rows.astype(np.int64), preferences.astype(np.float32), user_vector)
        return self._listener_of(*(array.tobytes() for array in arrays), stated)

    @cached_property
    def _listener_of(self) -> Callable[[bytes, bytes, bytes, StatedTaste], Listener]:
        n_kept = KEPT_BYTES // (BYTES_PER_TRACK * self.model.n_tracks + BYTES_TOLD)
        # Of the model and not of this: a cycle would keep a model that was replaced in memory.
        return lru_cache(maxsize=max(n_kept, 16))(partial(_listener_of, self.model))

    def spread(self, values: NDArray[np.floating], fill: float) -> NDArray[np.float32]:
        """Return the model's values per track in the catalogue's order, `fill` for the others."""
        known = self.model_rows >= 0
        spread = np.full(len(self.model_rows), fill, np.float32)
        spread[known] = values[self.model_rows[known]]
        return spread


def _listener_of(
    model: ServingModel, rows: bytes, preferences: bytes, vector: bytes, stated: StatedTaste
) -> Listener:
    return model.listener(
        np.frombuffer(rows, np.int64),
        np.frombuffer(preferences, np.float32),
        stated=stated,
        user_vector=np.frombuffer(vector, np.float32),
    )


@dataclass(frozen=True, eq=False)
class Stage:
    """Everything a request ranks with, consistent in itself.

    Attributes:
        catalogue: the active tracks.
        loaded: the model that serves, or None.
        degraded: why it is not the one that should, or "".
        heat: recent listening per track of the catalogue, decayed to `heat_at`, shape (n_tracks,).
        heat_at: when that was read.
        wanted: (model version, catalogue version) that this answers to.
    """

    catalogue: Catalogue
    loaded: LoadedModel | None
    degraded: str
    heat: NDArray[np.float32]
    heat_at: datetime
    wanted: tuple[int | None, int]


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
        loaded, degraded = stage.loaded, stage.degraded
    else:
        loaded, degraded = _load(state, catalogue, stage)
    now = timezone.now()
    heat = read_heat(catalogue, now)
    _holder.trend_at = time.monotonic()
    return Stage(catalogue, loaded, degraded, heat, now, wanted)


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


def align(version: int, model: ServingModel, catalogue: Catalogue) -> LoadedModel:
    """Find the model's tracks in the catalogue."""
    rows = catalogue.rows_of(model.track_ids)
    model_rows = np.full(len(catalogue), -1, np.intp)
    known = rows >= 0
    model_rows[rows[known]] = np.flatnonzero(known)
    return LoadedModel(version, model, rows, model_rows)


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
    # What was taken back before it was counted is below zero for a moment.
    heat[rows[rows >= 0]] = np.maximum(values[rows >= 0], 0.0)
    return heat
