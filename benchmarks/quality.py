"""Ranking quality beside `implicit` (ALS, BPR) and popularity: one split, one run, one table.

    python benchmarks/quality.py --train FILE --test FILE [--candidates FILE] [--exclude FILE]

Without a test file a leave-one-out split is drawn from the training file.  `implicit` is a
benchmark's package, in `benchmarks/requirements.txt`; its settings are the defaults but for the
number of factors, which is ours.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import sparse

from recommendations.core.interactions import split_validation
from recommendations.training.evaluation import (
    Split,
    evaluate,
    measure_scores,
    peak_memory_mb,
    read_interactions,
    read_split,
)

FACTORS = 64


def leave_one_out(path: Path, seed: int) -> Split:
    """Return a split that holds one random track of each user out."""
    everything = read_interactions(path)
    train, held_out = split_validation(everything, rng=np.random.default_rng(seed))
    test = dict(zip(held_out.user_rows.tolist(), held_out.track_rows[:, None], strict=True))
    names = [str(row) for row in range(max(everything.n_users, everything.n_tracks))]
    return Split(train, test, {}, None, names[: train.n_users], names[: train.n_tracks])


def implicit_models(seed: int) -> dict[str, Callable[[], object]]:
    """Return the library's models by name, or none where it is not installed."""
    try:
        from implicit.als import AlternatingLeastSquares
        from implicit.bpr import BayesianPersonalizedRanking
    except ImportError:
        print("implicit is not installed: pip install -r benchmarks/requirements.txt")
        return {}
    return {
        "implicit ALS": lambda: AlternatingLeastSquares(factors=FACTORS, random_state=seed),
        "implicit BPR": lambda: BayesianPersonalizedRanking(factors=FACTORS, random_state=seed),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--candidates", type=Path)
    parser.add_argument("--exclude", type=Path)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    split = (
        leave_one_out(asked.train, asked.seed)
        if asked.test is None
        else read_split(asked.train, asked.test, exclude=asked.exclude, candidates=asked.candidates)
    )
    ours = ("neural_cf", "item_to_item", "hybrid_ensemble")
    results = evaluate(split, ours, ks=[asked.k], seed=asked.seed)
    train = split.train
    matrix = sparse.csr_matrix(
        (np.ones(len(train), np.float32), (train.user_rows, train.track_rows)),
        shape=(train.n_users, train.n_tracks),
    )
    for name, make in implicit_models(asked.seed).items():
        began = time.monotonic()
        library = make()
        library.fit(matrix, show_progress=False)
        results[name] = measure_scores(
            lambda user, m=library: m.item_factors @ m.user_factors[user], split, ks=[asked.k]
        )
        results[name]["seconds"] = round(time.monotonic() - began, 1)
    show(results, asked.k, split)


def show(results: dict[str, dict[str, float]], k: int, split: Split) -> None:
    """Print the table and the machine."""
    names = (f"ndcg@{k}", f"recall@{k}", f"hr@{k}", "seconds")
    table = Table("strategy", *names)
    for strategy, values in results.items():
        table.add_row(strategy, *(f"{values[n]:.4g}" if n in values else "" for n in names))
    Console().print(table)
    print(
        f"{split.train.n_users:,} users, {split.train.n_tracks:,} tracks, "
        f"{len(split.train):,} pairs; {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}, peak memory {peak_memory_mb():.0f} MB"
    )


if __name__ == "__main__":
    main()
