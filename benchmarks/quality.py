"""Ranking quality beside `implicit` (ALS, BPR) and popularity: one split, one run, one table.

    make bench-quality
    python benchmarks/quality.py --train FILE --test FILE [--candidates FILE] [--exclude FILE]

Without files it takes two splits from `../shared/data`: `lastfm-split`, judged on its validation
part over the whole catalogue, and `ml-1m`, of which one track of each listener is held out and
ranked against 99 that they never met.  `implicit` is a benchmark's package, in
`benchmarks/requirements-quality.txt`.  Everybody has the same number of factors.  Each of
`ALS_SETTINGS` is tried on a validation slice, as our own settings are, and its seconds hold the
trials; BPR keeps the library's defaults.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the path is set above
from rich.console import Console  # noqa: E402 - same
from rich.table import Table  # noqa: E402 - same
from scipy import sparse  # noqa: E402 - same

from benchmarks.machine import describe_machine  # noqa: E402 - same
from recommendations.core.interactions import Interactions, split_validation  # noqa: E402 - same
from recommendations.training.evaluation import (  # noqa: E402 - same
    Split,
    evaluate,
    measure_scores,
    peak_memory_mb,
    read_interactions,
    read_split,
)
from recommendations.training.factorization import FactorizationConfig  # noqa: E402 - same
from recommendations.training.validation import ValidationSlice  # noqa: E402 - same

SHARED = ROOT.parent / "shared" / "data"
FACTORS = FactorizationConfig().dim
OURS = ("neural_cf", "item_to_item", "hybrid_ensemble")
ALS_SETTINGS = ((0.01, 1.0), (1.0, 1.0), (10.0, 1.0), (50.0, 1.0), (10.0, 5.0))
"""(regularization, alpha)"""
N_NEGATIVES = 99
VALIDATION_USERS = 1200


def leave_one_out(path: Path, seed: int) -> Split:
    """Return a split that holds one random track of each user out, against 99 never met."""
    everything = read_interactions(path)
    rng = np.random.default_rng(seed)
    train, held_out = split_validation(everything, rng=rng)
    test = dict(zip(held_out.user_rows.tolist(), held_out.track_rows[:, None], strict=True))
    histories = everything.by_user()
    candidates = {}
    for user in test:
        unmet = np.setdiff1d(np.arange(everything.n_tracks), histories.of(user)[0])
        candidates[user] = rng.choice(unmet, min(N_NEGATIVES, len(unmet)), replace=False)
    names = [str(row) for row in range(max(everything.n_users, everything.n_tracks))]
    return Split(train, test, {}, candidates, names[: train.n_users], names[: train.n_tracks])


def matrix_of(interactions: Interactions) -> sparse.csr_matrix:
    """Return the pairs as the library takes them."""
    return sparse.csr_matrix(
        (
            np.ones(len(interactions), np.float32),
            (interactions.user_rows, interactions.track_rows),
        ),
        shape=(interactions.n_users, interactions.n_tracks),
    )


def best_als(interactions: Interactions, seed: int) -> object:
    """Return the library's ALS with the settings that rank a validation slice best."""
    from implicit.als import AlternatingLeastSquares

    rng = np.random.default_rng(seed)
    train, held_out = split_validation(interactions, rng=rng, per_user=3)
    judge = ValidationSlice.of(train, held_out).of_at_most(VALIDATION_USERS)

    def fitted(setting: tuple[float, float], matrix: sparse.csr_matrix) -> object:
        regularization, alpha = setting
        model = AlternatingLeastSquares(
            factors=FACTORS, regularization=regularization, alpha=alpha, random_state=seed
        )
        model.fit(matrix, show_progress=False)
        return model

    def score(setting: tuple[float, float]) -> float:
        model = fitted(setting, matrix_of(train))
        vectors = iter(model.user_factors[judge.users])
        return float(judge.ndcg(lambda rows, liking: model.item_factors @ next(vectors))[0])

    return fitted(max(ALS_SETTINGS, key=score), matrix_of(interactions))


def default_bpr(interactions: Interactions, seed: int) -> object:
    """Return the library's BPR with its defaults."""
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(factors=FACTORS, random_state=seed)
    model.fit(matrix_of(interactions), show_progress=False)
    return model


THEIRS: dict[str, Callable[[Interactions, int], object]] = {
    "implicit ALS": best_als,
    "implicit BPR": default_bpr,
}


def compare(split: Split, *, k: int, seed: int) -> dict[str, dict[str, float]]:
    """Return the metrics of our strategies and the library's, by name."""
    results = evaluate(split, OURS, ks=[k], seed=seed)
    for name, make in THEIRS.items():
        began = time.monotonic()
        model = make(split.train, seed)
        results[name] = measure_scores(
            lambda user, m=model: m.item_factors @ m.user_factors[user], split, ks=[k]
        )
        results[name]["seconds"] = round(time.monotonic() - began, 1)
    return results


def show(title: str, results: dict[str, dict[str, float]], k: int, split: Split) -> None:
    """Print one split's table."""
    names = (f"ndcg@{k}", f"recall@{k}", f"hr@{k}", "seconds")
    names = tuple(name for name in names if any(name in values for values in results.values()))
    train = split.train
    table = Table(
        "strategy",
        *names,
        title=f"{title}: {train.n_users:,} users, {train.n_tracks:,} tracks, {len(train):,} pairs",
    )
    for strategy, values in results.items():
        table.add_row(strategy, *(f"{values[n]:.4g}" if n in values else "" for n in names))
    Console().print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--candidates", type=Path)
    parser.add_argument("--exclude", type=Path)
    parser.add_argument("--k", type=int)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.train is not None:
        split = (
            leave_one_out(asked.train, asked.seed)
            if asked.test is None
            else read_split(
                asked.train, asked.test, exclude=asked.exclude, candidates=asked.candidates
            )
        )
        splits = {str(asked.train): (split, asked.k or 20)}
    elif SHARED.is_dir():
        lastfm = SHARED / "lastfm-split"
        splits = {
            "lastfm-split": (
                read_split(lastfm / "train.csv.gz", lastfm / "valid.csv.gz"),
                asked.k or 20,
            ),
            "ml-1m, 99 negatives": (
                leave_one_out(SHARED / "ml-1m" / "train.csv.gz", asked.seed),
                asked.k or 10,
            ),
        }
    else:
        sys.exit(f"There is no {SHARED}: name a file with --train.")
    for title, (split, k) in splits.items():
        show(title, compare(split, k=k, seed=asked.seed), k, split)
    print(f"{describe_machine()}; peak memory {peak_memory_mb():,.0f} MB")


if __name__ == "__main__":
    main()
