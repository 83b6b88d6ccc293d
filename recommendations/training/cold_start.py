"""What training never saw: listeners held out entirely, and tracks held out entirely."""

from __future__ import annotations

import numpy as np

from recommendations.core.arrays import top_k
from recommendations.core.content import ContentFeatures
from recommendations.core.interactions import NEUTRAL, Interactions
from recommendations.core.metrics import ndcg_at_k
from recommendations.core.serving_model import ServingModel
from recommendations.training.evaluation import STRATEGIES
from recommendations.training.fit import FitConfig, fit
from recommendations.training.selection import Progress

GIVEN = (0, 1, 3, 5, 10)
K = 10
COLD_TRACK_STRATEGIES = ("content_based", "hybrid_ensemble", "neural_cf")


def measure_cold_start(
    interactions: Interactions,
    *,
    seed: int,
    content: ContentFeatures | None = None,
    config: FitConfig | None = None,
    share: float = 0.1,
    max_listeners: int = 500,
    progress: Progress = lambda report: None,
) -> dict[str, dict[str, float]]:
    """Return NDCG@10 of `hybrid_ensemble` by the number of tracks given, for held-out listeners.

    Each held-out listener has enough liked tracks that ten can be given and ten are left to find;
    the same ten or more are looked for however many are given.  Beside it stand popularity, and
    the same settings trained with those listeners' given tracks (all ten) among the data.

    Returns:
        By "given 0" and so on: `cold` (never seen in training), `popularity`, and `trained_with`.

    Raises:
        ValueError: no listener has twice as many liked tracks as are given.
    """
    rng = np.random.default_rng(seed)
    content = content or ContentFeatures.empty(interactions.n_tracks)
    config = config or FitConfig()
    liked = interactions.take(interactions.preference >= NEUTRAL)
    able = np.flatnonzero(np.bincount(liked.user_rows) >= 2 * max(GIVEN))
    if not len(able):
        raise ValueError(f"no listener has {2 * max(GIVEN)} liked tracks")
    n_held_out = int(np.clip(share * len(able), 1, max_listeners))
    chosen = rng.choice(able, n_held_out, replace=False)
    held_out = np.isin(interactions.user_rows, chosen)
    histories = liked.by_user()
    order = {int(user): rng.permutation(histories.of(user)[0]) for user in chosen}
    cold = fit(
        interactions.take(~held_out), content, config=config, seed=seed, progress=progress
    ).model
    given_key = np.concatenate(
        [user * interactions.n_tracks + tracks[: max(GIVEN)] for user, tracks in order.items()]
    )
    keys = interactions.user_rows.astype(np.int64) * interactions.n_tracks + interactions.track_rows
    warm = fit(
        interactions.take(~held_out | np.isin(keys, given_key)),
        content,
        config=config,
        seed=seed,
        progress=progress,
    ).model
    results = {}
    for n_given in GIVEN:
        results[f"given {n_given}"] = {
            "cold": _ndcg(cold, order, n_given, popular=False),
            "popularity": _ndcg(cold, order, n_given, popular=True),
            "trained_with": _ndcg(warm, order, n_given, popular=False),
            "listeners": float(n_held_out),
        }
    return results


def _ndcg(
    model: ServingModel, order: dict[int, np.ndarray], n_given: int, *, popular: bool
) -> float:
    values = []
    for tracks in order.values():
        given, wanted = tracks[:n_given], set(tracks[max(GIVEN) :].tolist())
        if popular:
            scores = np.array(model.popularity)
        else:
            scores = model.hybrid_scores(model.listener(given, np.ones(n_given)))
        # What is given at most is left out throughout, so that every list is judged alike.
        scores[tracks[: max(GIVEN)]] = -np.inf
        values.append(ndcg_at_k(top_k(scores, K), wanted, k=K))
    return float(np.mean(values))


N_COLD_TRACKS = 200
MIN_LISTENERS = 5
"""A track to be held out is liked by so many, or chance alone would decide."""


def measure_cold_tracks(
    interactions: Interactions,
    content: ContentFeatures,
    *,
    seed: int,
    config: FitConfig | None = None,
    progress: Progress = lambda report: None,
) -> dict[str, dict[str, float]]:
    """Return how well tracks that training never saw are found for those who like them.

    Some tracks lose all their interactions.  For every listener who liked one, its place among the
    tracks that the listener does not know is looked up, as a share: 1 is the top, 0.5 is what
    chance gives.

    Returns:
        By strategy, beside chance: `place` (mean share), `top 10%` (share of pairs in which the
        track is in the best tenth), and `pairs`.

    Raises:
        ValueError: nothing is known of the content, or no track has listeners enough.
    """
    if not content.is_known:
        raise ValueError("tracks held out can only be found by content: give a file of tracks")
    rng = np.random.default_rng(seed)
    liked = interactions.take(interactions.preference >= NEUTRAL)
    able = np.flatnonzero(liked.track_counts() >= MIN_LISTENERS)
    if not len(able):
        raise ValueError(f"no track is liked by {MIN_LISTENERS} listeners")
    cold_tracks = rng.choice(able, min(N_COLD_TRACKS, max(1, len(able) // 10)), replace=False)
    unseen = np.isin(interactions.track_rows, cold_tracks)
    train = interactions.take(~unseen)
    model = fit(train, content, config=config or FitConfig(), seed=seed, progress=progress).model
    histories, wanted = train.by_user(), liked.take(np.isin(liked.track_rows, cold_tracks))
    by_user = wanted.by_user()
    places: dict[str, list[float]] = {name: [] for name in COLD_TRACK_STRATEGIES}
    for user in np.unique(wanted.user_rows):
        rows, preferences = histories.of(user)
        listener = model.listener(rows, preferences)
        others = np.ones(model.n_tracks, bool)
        others[rows] = False
        for name in COLD_TRACK_STRATEGIES:
            scores = STRATEGIES[name](model, listener)
            rivals = np.sort(scores[others])
            found = np.searchsorted(rivals, scores[by_user.of(user)[0]], side="left")
            places[name] += (found / max(len(rivals) - 1, 1)).tolist()
    return {
        name: {
            "place": float(np.mean(values)),
            "top 10%": float(np.mean(np.array(values) >= 0.9)),
            "pairs": float(len(values)),
        }
        for name, values in places.items()
    } | {"chance": {"place": 0.5, "top 10%": 0.1}}
