"""Processes that help a training: they get its snapshot, and train the network with it."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from django.conf import settings

from recommendations.core.arrays import SparseRows
from recommendations.core.content import ContentFeatures
from recommendations.core.interactions import Interactions
from recommendations.models import TrainingRun

WAIT_SECONDS = 900.0
"""How long a peer waits for the chief's snapshot."""

_COLUMNS = ("user_rows", "track_rows", "preference", "rating", "time", "weight")


class NoSnapshot(RuntimeError):
    """The chief's snapshot did not come, or the run ended."""


def _folder(run_id: int) -> Path:
    return Path(settings.MODELS_DIR) / ".snapshots" / f"run-{run_id:06d}"


def share(
    run: TrainingRun, interactions: Interactions, content: ContentFeatures, pks: np.ndarray
) -> None:
    """Write what a training learns from where its peers look for it; all of it or nothing."""
    folder = _folder(run.pk)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    arrays = {name: getattr(interactions, name) for name in _COLUMNS} | {
        "genre_starts": content.genres.starts,
        "genre_columns": content.genres.columns,
        "genre_values": content.genres.values,
        "audio": content.audio,
        "audio_mean": content.audio_mean,
        "audio_scale": content.audio_scale,
        "track_pks": pks,
    }
    try:
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", np.asarray(array), allow_pickle=False)
        facts = {
            "n_users": interactions.n_users,
            "n_tracks": interactions.n_tracks,
            "genre_names": list(content.genre_names),
        }
        (temporary / "facts.json").write_text(json.dumps(facts))
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def forget(run: TrainingRun) -> None:
    """Remove what was shared."""
    shutil.rmtree(_folder(run.pk), ignore_errors=True)


def receive(run_id: int) -> tuple[Interactions, ContentFeatures, np.ndarray]:
    """Wait for what the chief shares and return it: interactions, content, the tracks' keys.

    Raises:
        NoSnapshot: it did not come in time, or the run has ended.
    """
    folder = _folder(run_id)
    deadline = time.monotonic() + WAIT_SECONDS
    while not folder.exists():
        is_open = TrainingRun.objects.open().filter(pk=run_id).exists()
        if not is_open or time.monotonic() > deadline:
            raise NoSnapshot(f"there is no snapshot of run {run_id} to help with")
        time.sleep(0.5)
    facts = json.loads((folder / "facts.json").read_text())
    arrays = {path.stem: np.load(path, allow_pickle=False) for path in folder.glob("*.npy")}
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
