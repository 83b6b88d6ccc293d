import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.core.fold_in import FoldIn, affinity


def make_fold_in(n_tracks=300, dim=8, seed=0, **settings):
    rng = np.random.default_rng(seed)
    tracks = rng.normal(0, 0.3, (n_tracks, dim)).astype(np.float32)
    return FoldIn(
        embeddings=tracks,
        gram=tracks.T @ tracks,
        prior_mean=rng.normal(0, 0.1, dim).astype(np.float32),
        unobserved_weight=settings.get("unobserved_weight", 0.1),
        regularization=settings.get("regularization", 0.01),
    )


def objective(fold_in, rows, preferences, embedding):
    scores = fold_in.embeddings @ embedding
    fit = np.sum((affinity(preferences) - scores[rows]) ** 2)
    unobserved = fold_in.unobserved_weight * np.sum(scores**2)
    mass = len(rows) + fold_in.unobserved_weight * len(scores)
    prior = np.sum((embedding - fold_in.prior_mean) ** 2)
    return fit + unobserved + fold_in.regularization * mass * prior


@given(
    seed=st.integers(0, 100),
    preferences=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=20),
)
def test_the_embedding_minimises_the_stated_objective(seed, preferences):
    fold_in = make_fold_in(seed=seed)
    rng = np.random.default_rng(seed)
    rows = rng.choice(300, len(preferences), replace=False)
    preferences = np.array(preferences)
    found = fold_in.embedding(rows, preferences)
    best = objective(fold_in, rows, preferences, found)
    for _ in range(5):
        nearby = found + rng.normal(0, 0.02, len(found))
        assert objective(fold_in, rows, preferences, nearby) >= best - 1e-4


def test_without_a_history_a_listener_is_the_average_one():
    fold_in = make_fold_in()
    nobody = np.empty(0, np.int64)
    assert fold_in.embedding(nobody, nobody.astype(float)).tolist() == fold_in.prior_mean.tolist()


def test_a_liked_track_is_pulled_closer_and_a_rejected_one_pushed_away():
    fold_in = make_fold_in()
    history, liking = np.array([1, 2, 3]), np.ones(3)
    before = fold_in.embeddings[7] @ fold_in.embedding(history, liking)
    rows = np.append(history, 7)
    liked = fold_in.embeddings[7] @ fold_in.embedding(rows, np.append(liking, 1.0))
    rejected = fold_in.embeddings[7] @ fold_in.embedding(rows, np.append(liking, 0.0))
    assert rejected < before < liked


def test_the_order_of_the_history_does_not_matter():
    fold_in = make_fold_in()
    rows, preferences = np.array([5, 9, 2]), np.array([1.0, 0.0, 0.5])
    assert fold_in.embedding(rows, preferences) == pytest.approx(
        fold_in.embedding(rows[::-1], preferences[::-1]), abs=1e-5
    )


def test_contributions_add_up_to_the_score_less_the_prior():
    fold_in = make_fold_in()
    rows, preferences = np.array([5, 9, 2]), np.array([1.0, 0.0, 0.5], np.float32)
    wanted = fold_in.embeddings[11]
    parts = fold_in.contributions(rows, preferences, wanted[None, :])
    # Neutral of nothing: targets of 0 leave only the prior's part.
    no_targets = np.full(3, 1 / 3, np.float32)
    prior_part = fold_in.embedding(rows, no_targets) @ wanted
    assert parts.sum() + prior_part == pytest.approx(
        float(fold_in.embedding(rows, preferences) @ wanted), abs=1e-5
    )


def test_rows_and_preferences_must_pair_up():
    with pytest.raises(ValueError, match="2 tracks but 1 preferences"):
        make_fold_in().embedding(np.array([1, 2]), np.array([1.0]))


def test_two_hundred_tracks_fold_in_within_two_milliseconds():
    fold_in = make_fold_in(n_tracks=5000, dim=64)
    rows, preferences = np.arange(200), np.full(200, 0.75, np.float32)
    best = np.inf
    for _ in range(30):
        began = time.perf_counter()
        fold_in.embedding(rows, preferences)
        best = min(best, time.perf_counter() - began)
    assert best < 0.002
