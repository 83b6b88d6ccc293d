"""What depends on the data, chosen on validation: penalties and the weights of the blend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from scipy import sparse

from recommendations.core.arrays import Floats, SparseRows
from recommendations.core.ensemble import COMPONENTS, Blend, Moments
from recommendations.core.fold_in import affinity
from recommendations.core.interactions import Interactions
from recommendations.core.item_similarity import SimilarityConfig, affinity_matrix, item_weights
from recommendations.core.serving_model import ServingModel
from recommendations.training.factorization import (
    Factorization,
    FactorizationConfig,
    factorize,
)
from recommendations.training.validation import ValidationSlice

Report = dict[str, float | int | str]
Progress = Callable[[Report], None]

MAX_USERS = 1200
"""Listeners that settings are judged on."""

MAX_BLEND_USERS = 3000
"""Listeners that the blend is judged on."""


@dataclass(frozen=True)
class SelectionConfig:
    """What is tried.

    Attributes:
        factorization: (unobserved weight, regularization) of the factorization.
        item_to_item: (penalty, penalty per count) of the item-to-item model.
        item_to_item_tracks: where both tracks and listeners outnumber this, penalties are tried
            on so many of the most heard tracks, since a trial costs the cube of the number.
        blend: weights of each component but the first, which stays 1.
    """

    factorization: tuple[tuple[float, float], ...] = ((0.03, 0.01), (0.1, 0.01), (0.2, 0.007))
    item_to_item: tuple[tuple[float, float], ...] = (
        (500.0, 0.0),
        (200.0, 0.5),
        (30.0, 2.3),
    )
    item_to_item_tracks: int = 6000
    blend: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {
            # From the network alone to, as good as, the item-to-item model alone.
            "item_to_item": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 3.0, 10.0),
            "popularity": (-0.2, -0.1, 0.0, 0.1),
            "content": (0.0, 0.05, 0.1, 0.2, 0.4),
        }
    )


def choose_factorization(
    train: Interactions,
    features: sparse.csr_matrix,
    validation: ValidationSlice,
    *,
    base: FactorizationConfig,
    grid: tuple[tuple[float, float], ...],
    seed: int,
    progress: Progress,
) -> Factorization:
    """Return the factorization whose listeners, folded in, rank the held-out tracks best."""
    judge = validation.of_at_most(MAX_USERS)

    def candidate(setting: tuple[float, float]) -> tuple[Factorization, float]:
        config = replace(base, unobserved_weight=setting[0], regularization=setting[1])
        made = factorize(train, features, config=config, rng=np.random.default_rng(seed))
        fold_in = made.fold_in()
        score = judge.ndcg(
            lambda rows, liking: fold_in.embeddings @ fold_in.embedding(rows, liking)
        )
        report: Report = {"stage": "factorization", "validation": float(score[0])}
        progress({**report, "unobserved_weight": setting[0], "regularization": setting[1]})
        return made, float(score[0])

    return max(map(candidate, grid), key=lambda pair: pair[1])[0]


def choose_similarity(
    train: Interactions,
    validation: ValidationSlice,
    *,
    base: SimilarityConfig,
    selection: SelectionConfig,
    progress: Progress,
) -> tuple[SimilarityConfig, SparseRows]:
    """Return the item-to-item model that ranks the held-out tracks best, and its settings."""
    judge = validation.of_at_most(MAX_USERS)
    matrix = affinities_of(train)
    few = min(base.max_tracks, selection.item_to_item_tracks)

    def candidate(setting: tuple[float, float]) -> tuple[SimilarityConfig, SparseRows, float]:
        config = replace(base, penalty=setting[0], penalty_per_count=setting[1])
        weights = item_weights(matrix, replace(config, max_tracks=few))
        score = judge.ndcg(
            lambda rows, liking: weights.take(rows).weighted_sum(affinity(liking)).dense()
        )
        report: Report = {"stage": "item_to_item", "validation": float(score[0])}
        progress({**report, "penalty": setting[0], "penalty_per_count": setting[1]})
        return config, weights, float(score[0])

    config, weights, _ = max(map(candidate, selection.item_to_item), key=lambda made: made[2])
    return config, weights if min(matrix.shape) <= few else item_weights(matrix, config)


def choose_blend(
    model: ServingModel, validation: ValidationSlice, grid: dict[str, tuple[float, ...]]
) -> tuple[Blend, dict[str, float]]:
    """Return the blend that ranks the held-out tracks best, and NDCG@20 of it and its parts.

    Item-to-item and popularity are searched together, content after them: where content is
    unknown, its scores are all alike and its weight stays 0.  Without held-out responses there is
    nothing to choose on, and the blend is the default one.
    """
    if not len(validation.users):
        return Blend(), {}
    validation = validation.of_at_most(MAX_BLEND_USERS)

    def standardised(rows: np.ndarray, liking: np.ndarray) -> Floats:
        parts = model.components(model.listener(rows, liking))
        moments = {name: Moments.of(scores) for name, scores in parts.items()}
        nothing = np.zeros(model.n_tracks, np.float32)
        columns = [
            (parts[name] - moments[name].mean) / moments[name].deviation
            if name in parts
            else nothing
            for name in COMPONENTS
        ]
        return np.stack(columns).astype(np.float32)

    def best(trials: list[Blend]) -> tuple[Blend, float, Floats]:
        """Return the best trial with its NDCG, and the NDCG of each component alone."""
        tried = [[getattr(trial, name) for name in COMPONENTS] for trial in trials]
        weights = np.array([*tried, *np.eye(len(COMPONENTS))], np.float32)
        scores = validation.ndcg(lambda rows, liking: weights @ standardised(rows, liking))
        chosen = int(np.argmax(scores[: len(trials)]))
        return trials[chosen], float(scores[chosen]), scores[len(trials) :]

    blend, score, alone = best(
        [
            Blend(1.0, item, 0.0, popularity)
            for item, popularity in product(grid["item_to_item"], grid["popularity"])
        ]
    )
    if model.content.is_known:
        blend, score, _ = best([replace(blend, content=weight) for weight in grid["content"]])
    parts = {f"ndcg@20_{name}": float(value) for name, value in zip(COMPONENTS, alone, strict=True)}
    return blend, {**parts, "ndcg@20_hybrid_ensemble": score}


def affinities_of(interactions: Interactions) -> sparse.csr_matrix:
    """Return the matrix of affinities, a row per listener."""
    return affinity_matrix(
        interactions.user_rows,
        interactions.track_rows,
        affinity(interactions.preference),
        (interactions.n_users, interactions.n_tracks),
    )
