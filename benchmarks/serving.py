"""Time and memory of serving on one thread: a catalogue scored whole, a large one in two stages.

    make bench-serving

Trains on `../shared/data/lastfm-split` (on the demo's simulated listening where that is absent),
or takes an artefact with `--model FOLDER`.  Larger catalogues are synthetic: rows of the trained
model drawn again, each number moved by a quarter of its spread, so that factors and hidden units
are distributed as in a real model.  Item-to-item links, genres and audio features are drawn at
random, as many as a real catalogue of that size keeps.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"  # before numpy
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse  # noqa: E402 - threads are set above
import sys  # noqa: E402 - same
import tempfile  # noqa: E402 - same
import time  # noqa: E402 - same
from dataclasses import replace  # noqa: E402 - same
from pathlib import Path  # noqa: E402 - same

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the path is set above
from rich.console import Console  # noqa: E402 - same
from rich.table import Table  # noqa: E402 - same

from benchmarks.machine import describe_machine  # noqa: E402 - same
from recommendations.core import artefact  # noqa: E402 - same
from recommendations.core.arrays import SparseRows  # noqa: E402 - same
from recommendations.core.candidates import CandidateIndex  # noqa: E402 - same
from recommendations.core.content import AUDIO_FEATURES, ContentFeatures  # noqa: E402 - same
from recommendations.core.item_similarity import SimilarityConfig  # noqa: E402 - same
from recommendations.core.serving_model import (  # noqa: E402 - same
    EXACT_LIMIT,
    Listener,
    ServingModel,
)

SHARED = ROOT.parent / "shared" / "data" / "lastfm-split" / "train.csv.gz"
SIZES = (17_632, 100_000, 1_000_000)
HISTORY = 40
N_GENRES, GENRES_PER_TRACK = 60, 3
SPREAD = 0.25
N_LISTENERS = {17_632: 200, 100_000: 100, 1_000_000: 40}
ASKED = {17_632: "<= 6 ms", 1_000_000: "<= 40 ms"}


def trained(seed: int) -> ServingModel:
    """Return a model trained on real listening, or refuse without it."""
    from recommendations.training.evaluation import read_interactions
    from recommendations.training.fit import fit

    if not SHARED.is_file():
        sys.exit(f"There is no {SHARED}: name an artefact with --model.")
    interactions = read_interactions(SHARED)
    empty = ContentFeatures.empty(interactions.n_tracks)
    return fit(interactions, empty, seed=seed).model


def enlarged(model: ServingModel, n_tracks: int, rng: np.random.Generator) -> ServingModel:
    """Return a model like this one of another number of tracks."""
    rows = rng.integers(0, model.n_tracks, n_tracks)
    network = model.network

    def more(table: np.ndarray) -> np.ndarray:
        table = np.asarray(table, np.float32)
        noise = rng.standard_normal((n_tracks, *table.shape[1:]), dtype=np.float32)
        moved: np.ndarray = table[rows] + noise * (SPREAD * table.std(axis=0))
        return moved

    embeddings = more(network.fold_in.embeddings)
    network = replace(
        network,
        item_factors=more(network.item_factors),
        item_bias=more(network.item_bias),
        history_embeddings=more(network.history_embeddings),
        item_hidden=more(network.item_hidden),
        item_mean=network.item_mean[rows],
        fold_in=replace(network.fold_in, embeddings=embeddings, gram=embeddings.T @ embeddings),
    )
    content = random_content(n_tracks, rng)
    larger = replace(
        model,
        track_ids=np.arange(n_tracks, dtype=np.int64),
        network=network,
        similarity=random_links(n_tracks, rng),
        content=content,
        content_projection=np.zeros((content.n_features, embeddings.shape[1]), np.float32),
        popularity=model.popularity[rows],
        track_counts=model.track_counts[rows],
        blend=replace(model.blend, neural=1.0, item_to_item=0.5, content=0.1, popularity=0.1),
    )
    if n_tracks <= EXACT_LIMIT:
        return larger
    listeners = [larger.fold_in(*random_history(n_tracks, rng)) for _ in range(300)]
    index = CandidateIndex.build(
        network.item_factors,
        network.item_bias,
        np.stack([network.weighted_factors(vector) for vector in listeners]),
    )
    return replace(larger, network=network.halved(), index=index)


def random_content(n_tracks: int, rng: np.random.Generator) -> ContentFeatures:
    """Return content of a catalogue, a few genres and all audio features each."""
    genres = np.sort(rng.integers(0, N_GENRES, (n_tracks, GENRES_PER_TRACK)), axis=1)
    n_audio = len(AUDIO_FEATURES)
    return ContentFeatures(
        genres=SparseRows(
            np.arange(n_tracks + 1, dtype=np.int64) * GENRES_PER_TRACK,
            genres.astype(np.int32).ravel(),
            np.full(genres.size, GENRES_PER_TRACK**-0.5, np.float16),
            N_GENRES,
        ),
        genre_names=tuple(f"genre {i}" for i in range(N_GENRES)),
        audio=rng.standard_normal((n_tracks, n_audio), dtype=np.float32),
        audio_mean=np.zeros(n_audio, np.float32),
        audio_scale=np.ones(n_audio, np.float32),
    )


def random_links(n_tracks: int, rng: np.random.Generator) -> SparseRows:
    """Return as many item-to-item weights as training keeps for so many tracks."""
    config = SimilarityConfig()
    kept = max(config.neighbours, config.room // n_tracks)
    columns = np.sort(rng.integers(0, n_tracks, (n_tracks, kept), dtype=np.int32), axis=1)
    values = rng.exponential(0.02, columns.size).astype(np.float16)
    starts = np.arange(n_tracks + 1, dtype=np.int64) * kept
    return SparseRows(starts, columns.ravel(), values, n_tracks)


def random_history(n_tracks: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return some tracks and how they were liked."""
    rows = np.unique(rng.integers(0, n_tracks, HISTORY))
    return rows, rng.uniform(0.5, 1, len(rows)).astype(np.float32)


def hybrid(model: ServingModel, listener: Listener) -> np.ndarray:
    """Score as `hybrid_ensemble` does: all tracks, or the candidates of the first stage."""
    if model.index is None:
        return model.hybrid_scores(listener)
    return model.hybrid_scores(listener, model.candidates(listener))


def megabytes(model: ServingModel) -> float:
    """Return the size of the arrays that serving maps, in 10^6 bytes."""
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as folder:
        artefact.save(Path(folder) / "model", model)
        return sum(path.stat().st_size for path in Path(folder).rglob("*.npy")) / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder of a trained model's artefact")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    (ROOT / "var").mkdir(exist_ok=True)
    model = artefact.load(asked.model) if asked.model else trained(asked.seed)
    table = Table("tracks", "p50", "p99", "asked for", "recall@100", "MB", "MB per 100,000")
    for n_tracks in SIZES:
        rng = np.random.default_rng(asked.seed)
        larger = enlarged(model, n_tracks, rng)
        listeners = [
            larger.listener(*random_history(n_tracks, rng)) for _ in range(N_LISTENERS[n_tracks])
        ]
        times = []
        for listener in [listeners[0], *listeners]:  # the first once more, to warm up
            began = time.perf_counter()
            hybrid(larger, listener)
            times.append(1000 * (time.perf_counter() - began))
        recall = np.mean([larger.recall_of_candidates(each, k=100) for each in listeners[:40]])
        size = megabytes(larger)
        table.add_row(
            f"{n_tracks:,}",
            f"{np.percentile(times[1:], 50):.1f} ms",
            f"{np.percentile(times[1:], 99):.1f} ms",
            ASKED.get(n_tracks, ""),
            f"{recall:.3f}" if larger.index is not None else "exact",
            f"{size:,.0f}",
            f"{size * 100_000 / n_tracks:,.0f}",
        )
    Console(width=100).print(table)
    print(f"{describe_machine()}; one thread; histories of {HISTORY} tracks")


if __name__ == "__main__":
    main()
