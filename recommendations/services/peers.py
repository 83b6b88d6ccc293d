"""Processes that help a training: they get its snapshot, and train the network with it.

The snapshot goes the way of the models (`serving/storage.py`): a folder that all machines see, or
a bucket.  The row of the run says where it is, and vouches for it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import SparseRows
from recommendations.core.artefact import MANIFEST, CorruptArtefact
from recommendations.core.content import ContentFeatures
from recommendations.core.interactions import Interactions
from recommendations.models import TrainingRun
from recommendations.serving.storage import UnavailableArtefact, snapshot_store, snapshots_folder

logger = logging.getLogger(__name__)

WAIT_SECONDS = 900.0
"""How long a peer waits for the chief's snapshot."""

_COLUMNS = ("user_rows", "track_rows", "preference", "rating", "time", "weight")


class NoSnapshot(RuntimeError):
    """The chief's snapshot did not come, or the run ended."""


def share(
    run: TrainingRun, interactions: Interactions, content: ContentFeatures, pks: np.ndarray
) -> None:
    """Write what a training learns from where its peers find it, and say so in the run's row.

    Raises:
        UnavailableArtefact: the store of models does not take it.
    """
    arrays = {name: getattr(interactions, name) for name in _COLUMNS} | {
        "genre_starts": content.genres.starts,
        "genre_columns": content.genres.columns,
        "genre_values": content.genres.values,
        "audio": content.audio,
        "audio_mean": content.audio_mean,
        "audio_scale": content.audio_scale,
        "track_pks": pks,
    }
    facts = {
        "n_users": interactions.n_users,
        "n_tracks": interactions.n_tracks,
        "genre_names": list(content.genre_names),
    }
    # Runs count anew in a new database; what one of an old one left must not be met.
    folder = snapshots_folder() / f"run-{run.pk:06d}-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    try:
        manifest = _write(folder, arrays, facts)
        snapshot_store(folder.parent).publish(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    run.shared = f"{folder.name} {hashlib.sha256(manifest).hexdigest()}"
    run.save(update_fields=["shared"])


def forget(run: TrainingRun) -> None:
    """Remove what was shared, if anything was."""
    if not run.shared:
        return
    folder = snapshots_folder() / run.shared.split()[0]
    run.shared = ""
    run.save(update_fields=["shared"])
    try:
        snapshot_store(folder.parent).remove(folder.name)
    except UnavailableArtefact:
        # The model is what the run is for; a rule of the bucket ends what is left in it.
        logger.warning("the snapshot of run %s stays in the bucket", run.pk, exc_info=True)
    shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> bytes:
    described = {}
    for name, array in arrays.items():
        path = folder / f"{name}.npy"
        np.save(path, np.asarray(array), allow_pickle=False)
        described[name] = {"sha256": _sha256(path)}
    manifest = json.dumps({"facts": facts, "arrays": described}).encode()
    (folder / MANIFEST).write_bytes(manifest)
    return manifest


def _read(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    arrays = {}
    for name, about in manifest["arrays"].items():
        path = folder / f"{name}.npy"
        if _sha256(path) != about["sha256"]:
            raise CorruptArtefact(f"{path} does not match its checksum")
        arrays[name] = np.load(path, allow_pickle=False)
    return arrays, manifest["facts"]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def receive(run_id: int) -> tuple[Interactions, ContentFeatures, np.ndarray]:
    """Wait for what the chief shares and return it: interactions, content, the tracks' keys.

    Raises:
        NoSnapshot: it did not come in time or not whole, or the run has ended.
    """
    name, checksum = _announced(run_id)
    # Not mapped but read: the copies of what comes from a bucket go with this block.
    with tempfile.TemporaryDirectory(prefix="musicrec-snapshot-") as copies:
        try:
            arrays, facts = _read(snapshot_store(Path(copies)).fetch(name, checksum))
        except (CorruptArtefact, OSError) as error:
            raise NoSnapshot(f"the snapshot of run {run_id} cannot be had: {error}") from error
    interactions = Interactions(
        **{name: arrays[name] for name in _COLUMNS},
        n_users=facts["n_users"],
        n_tracks=facts["n_tracks"],
    )
    genres = SparseRows(
        arrays["genre_starts"],
        arrays["genre_columns"],
        arrays["genre_values"],
        len(facts["genre_names"]),
    )
    content = ContentFeatures(
        genres=genres,
        genre_names=tuple(facts["genre_names"]),
        audio=arrays["audio"],
        audio_mean=arrays["audio_mean"],
        audio_scale=arrays["audio_scale"],
    )
    return interactions, content, arrays["track_pks"]


def _announced(run_id: int) -> list[str]:
    """Return the name and the checksum of what the chief shares, once the run's row has them."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        run = TrainingRun.objects.open().filter(pk=run_id).first()
        if run is not None and run.shared:
            return run.shared.split()
        if run is None or time.monotonic() > deadline:
            raise NoSnapshot(f"there is no snapshot of run {run_id} to help with")
        time.sleep(0.5)


def help_train(run_id: int, *, workers: Sequence[str], index: int) -> None:
    """Train along as worker `index` of a run until its network is trained; keep nothing.

    Raises:
        NoSnapshot: there is nothing to help with.
    """
    interactions, content, pks = receive(run_id)
    run = TrainingRun.objects.get(pk=run_id)
    # TensorFlow takes 6 s and 600 MB to import: only here, in the training process.
    from recommendations.training.distributed import cluster
    from recommendations.training.fit import FitConfig, fit

    with cluster(workers, index):
        fit(interactions, content, config=FitConfig(), seed=run.seed, track_ids=pks)
