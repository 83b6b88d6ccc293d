"""Errors over folds: every response is predicted once, by a model that did not see it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recommendations.core.content import ContentFeatures
from recommendations.core.interactions import Interactions
from recommendations.core.metrics import mean_absolute_error, root_mean_squared_error
from recommendations.training.fit import FitConfig, fit
from recommendations.training.scores import true_ratings
from recommendations.training.validation import ValidationSlice


def stratified_folds(strata: np.ndarray, *, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return a fold for each case, every stratum spread as evenly over the folds as can be.

    Raises:
        ValueError: fewer than two folds, or more folds than cases.
    """
    if not 2 <= n_folds <= len(strata):
        raise ValueError(f"folds must lie in [2, {len(strata)}], got {n_folds}")
    order = np.lexsort((rng.random(len(strata)), strata))
    folds = np.empty(len(strata), np.int64)
    folds[order] = np.arange(len(strata)) % n_folds
    return folds


def cross_validate(
    interactions: Interactions,
    *,
    n_folds: int,
    seed: int,
    content: ContentFeatures | None = None,
    config: FitConfig | None = None,
    on_fold: Callable[[int, dict[str, float]], None] = lambda fold, metrics: None,
) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation over folds, stratified by rating.

    `mae` and `rmse` are of the calibrated expected rating on the preference scale [0, 1];
    `ndcg@10` is of `hybrid_ensemble` over the catalogue, training items left out.

    Raises:
        ValueError: fewer than two folds, or more than interactions.
    """
    rng = np.random.default_rng(seed)
    ratings = true_ratings(interactions)
    folds = stratified_folds(np.round(ratings), n_folds=n_folds, rng=rng)
    results = []
    for fold in range(n_folds):
        train, test = interactions.take(folds != fold), interactions.take(folds == fold)
        model = fit(
            train,
            content or ContentFeatures.empty(interactions.n_tracks),
            config=config or FitConfig(),
            seed=seed,
        ).model
        known = ~np.isnan(ratings[folds == fold])
        expected = np.empty(len(test), np.float32)
        histories = train.by_user()
        for user in np.unique(test.user_rows):
            mine = test.user_rows == user
            listener = model.listener(*histories.of(user))
            expected[mine] = model.expected_rating(listener, test.track_rows[mine])
        actual = ratings[folds == fold][known]
        ranking = ValidationSlice.of(train, test).ndcg(
            lambda rows, liking, m=model: m.hybrid_scores(m.listener(rows, liking)), k=10
        )
        results.append(
            {
                "mae": mean_absolute_error(expected[known], actual) / 4,
                "rmse": root_mean_squared_error(expected[known], actual) / 4,
                "ndcg@10": float(ranking[0]),
            }
        )
        on_fold(fold + 1, results[-1])
    return {
        name: {
            "mean": float(np.mean([r[name] for r in results])),
            "std": float(np.std([r[name] for r in results], ddof=1)),
        }
        for name in results[0]
    }
