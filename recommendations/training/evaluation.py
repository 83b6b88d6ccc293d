"""Strategies measured on a split: full ranking, or one test item against given candidates.

The full ranking leaves out training items (and those of `exclude`) and reports means over the users
with test items.  With candidates the protocol is that of the Neural Collaborative Filtering paper
(He et al., WWW 2017): each user's test item against that user's candidates, a tie counting against
us.  `popularity` is always measured beside the strategies asked for.
"""

from __future__ import annotations

import csv
import gzip
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recommendations.core import metrics
from recommendations.core.arrays import Floats, top_k
from recommendations.core.content import ContentFeatures
from recommendations.core.interactions import Interactions, preference_from_plays
from recommendations.core.serving_model import Listener, ServingModel
from recommendations.training.fit import FitConfig, fit

Scorer = Callable[[ServingModel, Listener], Floats]
UserScorer = Callable[[int], Floats]
"""From a user row to the scores of all tracks."""

STRATEGIES: Mapping[str, Scorer] = {
    "neural_cf": lambda model, listener: model.neural_scores(listener.user_vector),
    "item_to_item": lambda model, listener: model.item_scores(listener),
    "content_based": lambda model, listener: model.content_scores(listener),
    "hybrid_ensemble": lambda model, listener: model.hybrid_scores(listener),
    "popularity": lambda model, listener: np.asarray(model.popularity),
}
"""Strategies that a ranking benchmark can measure, by name."""


@dataclass(frozen=True, eq=False)
class Split:
    """Data to train and to judge on, in rows.

    Attributes:
        train: the interactions trained on.
        test: rows of each user's test tracks, by user row.
        exclude: rows left out of each user's list beside the training items, by user row.
        candidates: rows each user's test track is ranked against, by user row; None to rank all.
        user_ids: external id of each user row.
        track_ids: external id of each track row.
    """

    train: Interactions
    test: Mapping[int, np.ndarray]
    exclude: Mapping[int, np.ndarray]
    candidates: Mapping[int, np.ndarray] | None
    user_ids: Sequence[str]
    track_ids: Sequence[str]


def read_columns(path: Path, wanted: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the wanted columns of a CSV or CSV.gz file, a tuple for each row.

    Raises:
        ValueError: a file without those columns, or a row of another width; names file and line.
    """
    open_text = gzip.open if str(path).endswith(".gz") else open
    with open_text(path, "rt", encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text)
        header = next(reader, [])
        missing = [name for name in wanted if name not in header]
        if missing:
            raise ValueError(f"{path}: no column {missing[0]!r}, got {header}")
        places = [header.index(name) for name in wanted]
        rows = []
        for row in reader:
            if not row:  # a blank line
                continue
            if len(row) != len(header):
                raise ValueError(
                    f"{path}, line {reader.line_num}: expected {len(header)} columns, "
                    f"got {len(row)}"
                )
            rows.append(tuple(row[place] for place in places))
    return rows


def read_pairs(path: Path) -> list[tuple[str, ...]]:
    """Return the (user_id, track_id) pairs of a CSV or CSV.gz file."""
    return read_columns(path, ("user_id", "track_id"))


def read_interactions(path: Path) -> Interactions:
    """Read user_id, track_id and, where the file has it, rating or plays.

    Raises:
        ValueError: as `read_columns`; or a rating or play count that is none.
    """
    return read_interactions_of(path, None)


def read_interactions_of(path: Path, track_ids: Sequence[str] | None) -> Interactions:
    """Read interactions with the tracks of a catalogue, in its order; see `read_interactions`.

    Raises:
        ValueError: as `read_interactions`; or a track that is not in the catalogue.
    """
    pairs = read_pairs(path)
    users = _rows([user for user, _ in pairs])
    tracks = _rows([track for _, track in pairs] if track_ids is None else track_ids)
    unknown = next((track for _, track in pairs if track not in tracks), None)
    if unknown is not None:
        raise ValueError(f"{path}: track {unknown!r} is not in the catalogue")
    user_rows = np.array([users[user] for user, _ in pairs], np.int64)
    track_rows = np.array([tracks[track] for _, track in pairs], np.int64)
    rating = preference = None
    values = _read_optional(path, "rating")
    if values is not None:
        rating = values
    else:
        values = _read_optional(path, "plays")
        if values is not None:
            preference = preference_from_plays(user_rows, values.astype(np.int64))
    return Interactions.build(
        user_rows,
        track_rows,
        n_users=len(users),
        n_tracks=len(tracks),
        rating=rating,
        preference=preference,
    )


def _read_optional(path: Path, name: str) -> np.ndarray | None:
    """Return a column of numbers, or None where the file does not have it."""
    open_text = gzip.open if str(path).endswith(".gz") else open
    with open_text(path, "rt", encoding="utf-8-sig", newline="") as text:
        if name not in next(csv.reader(text), []):
            return None
    try:
        return np.array([float(value) for (value,) in read_columns(path, (name,))])
    except ValueError as error:
        raise ValueError(f"{path}: column {name}: {error}") from error


def read_split(
    train: Path, test: Path, *, exclude: Path | None = None, candidates: Path | None = None
) -> Split:
    """Read a split; rows follow the order of first appearance in train, then the other files.

    Raises:
        ValueError: an unreadable file, or no training pair.
    """
    pairs = {
        name: read_pairs(path) if path is not None else []
        for name, path in (
            ("train", train),
            ("test", test),
            ("exclude", exclude),
            ("candidates", candidates),
        )
    }
    if not pairs["train"]:
        raise ValueError(f"{train} holds no pairs")
    users = _rows([user for part in pairs.values() for user, _ in part])
    tracks = _rows([track for part in pairs.values() for _, track in part])
    rows = {
        name: np.array([(users[u], tracks[t]) for u, t in part], np.int64).reshape(-1, 2)
        for name, part in pairs.items()
    }
    return Split(
        train=Interactions.build(
            rows["train"][:, 0], rows["train"][:, 1], n_users=len(users), n_tracks=len(tracks)
        ),
        test=_by_user(rows["test"]),
        exclude=_by_user(rows["exclude"]),
        candidates=None if candidates is None else _by_user(rows["candidates"]),
        user_ids=list(users),
        track_ids=list(tracks),
    )


def evaluate(
    split: Split,
    strategies: Sequence[str],
    *,
    ks: Sequence[int],
    seed: int,
    config: FitConfig | None = None,
    progress: Callable[[dict[str, float | int | str]], None] = lambda report: None,
) -> dict[str, dict[str, float]]:
    """Train once and return each strategy's metrics, `popularity` beside them.

    Every result also holds `seconds` (training and ranking) and `peak_memory_mb` (of the process
    so far).

    Raises:
        ValueError: an unknown strategy.
    """
    unknown = [name for name in strategies if name not in STRATEGIES]
    if unknown:
        raise ValueError(f"unknown strategy {unknown[0]!r}; choose from {', '.join(STRATEGIES)}")
    began = time.monotonic()
    fitted = fit(
        split.train,
        ContentFeatures.empty(split.train.n_tracks),
        config=config or FitConfig(),
        seed=seed,
        progress=progress,
    )
    training = time.monotonic() - began
    results = {}
    for name in dict.fromkeys([*strategies, "popularity"]):
        began = time.monotonic()
        results[name] = measure(fitted.model, split, STRATEGIES[name], ks=ks)
        seconds = time.monotonic() - began + (training if name != "popularity" else 0)
        results[name]["seconds"] = round(seconds, 1)
        results[name]["peak_memory_mb"] = round(peak_memory_mb())
    return results


def measure(
    model: ServingModel, split: Split, scorer: Scorer, *, ks: Sequence[int]
) -> dict[str, float]:
    """Return one strategy's metrics, means over the users with test tracks, by name."""
    histories = split.train.by_user()
    return measure_scores(
        lambda user: scorer(model, model.listener(*histories.of(user))), split, ks=ks
    )


def measure_scores(scores_of: UserScorer, split: Split, *, ks: Sequence[int]) -> dict[str, float]:
    """Return the metrics of any scores, also those of another library; see `measure`."""
    histories = split.train.by_user()
    if split.candidates is not None:
        return _against_candidates(scores_of, split, ks)
    lists: list[np.ndarray] = []
    values: dict[str, list[float]] = {}
    longest = max(ks)
    for user, test in split.test.items():
        scores = np.array(scores_of(user), np.float32)
        scores[histories.of(user)[0]] = -np.inf
        scores[split.exclude.get(user, np.empty(0, np.int64))] = -np.inf
        ranked = top_k(scores, longest)
        lists.append(ranked)
        relevant = set(test.tolist())
        for k in ks:
            values.setdefault(f"recall@{k}", []).append(metrics.recall_at_k(ranked, relevant, k=k))
            values.setdefault(f"ndcg@{k}", []).append(metrics.ndcg_at_k(ranked, relevant, k=k))
            values.setdefault(f"hr@{k}", []).append(metrics.hit_rate_at_k(ranked, relevant, k=k))
    result = {name: float(np.mean(column)) for name, column in values.items()}
    counts = split.train.track_counts()
    for k in ks:
        shown = [ranked[:k] for ranked in lists]
        result[f"coverage@{k}"] = metrics.coverage(shown, n_tracks=split.train.n_tracks)
        result[f"novelty@{k}"] = metrics.novelty(shown, counts, n_users=split.train.n_users)
        result[f"gini@{k}"] = metrics.gini(shown, n_tracks=split.train.n_tracks)
    return {**result, "users": float(len(lists))}


def _against_candidates(scores_of: UserScorer, split: Split, ks: Sequence[int]) -> dict[str, float]:
    assert split.candidates is not None  # noqa: S101 (the caller's condition)
    alone = [user for user in split.test if user not in split.candidates]
    if alone:
        raise ValueError(f"user {split.user_ids[alone[0]]!r} has a test track but no candidates")
    ranks = []
    for user, test in split.test.items():
        scores = scores_of(user)
        others = split.candidates[user]
        for target in test:
            against = scores[others[others != target]]
            ranks.append(metrics.rank_among_candidates(float(scores[target]), against))
    rank = np.array(ranks)
    result = {}
    for k in ks:
        result[f"hr@{k}"] = float(np.mean(rank <= k))
        result[f"ndcg@{k}"] = float(np.mean(np.where(rank <= k, 1 / np.log2(rank + 1), 0)))
    return {**result, "users": float(len(split.test))}


def peak_memory_mb() -> float:
    """Return the most memory this process has held at once, in MB (10^6 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _rows(ids: Sequence[str]) -> dict[str, int]:
    return {external: row for row, external in enumerate(dict.fromkeys(ids))}


def _by_user(pairs: np.ndarray) -> dict[int, np.ndarray]:
    order = np.argsort(pairs[:, 0], kind="stable")
    users, begin = np.unique(pairs[order, 0], return_index=True)
    return (
        dict(zip(users.tolist(), np.split(pairs[order, 1], begin[1:]), strict=True))
        if len(pairs)
        else {}
    )
