from dataclasses import replace

import numpy as np
import pytest

from recommendations.core import artefact
from recommendations.core.content import ContentFeatures, StatedTaste
from recommendations.core.interactions import Interactions
from recommendations.training.fit import FitConfig, fit
from recommendations.training.network_training import OptimizerConfig
from recommendations.training.selection import SelectionConfig

N_USERS, N_TRACKS, N_TASTES = 120, 60, 4
NEVER_HEARD = 59

QUICK = replace(
    FitConfig(),
    optimizer=OptimizerConfig(steps=12, min_epochs=4, max_epochs=6, check_every=2),
    selection=replace(SelectionConfig(), factorization=((0.1, 0.01),), item_to_item=((30.0, 0.5),)),
    validation_pairs=240,
)


def make_world(seed=0):
    """Listeners of four tastes; track t is of taste t % 4, as its genre says."""
    rng = np.random.default_rng(seed)
    pairs = []
    for user in range(N_USERS):
        mine = np.flatnonzero(np.arange(N_TRACKS) % N_TASTES == user % N_TASTES)
        others = np.setdiff1d(np.arange(N_TRACKS), mine)
        liked = rng.choice(mine[mine != NEVER_HEARD], 9, replace=False)
        pairs += [(user, t, rng.integers(4, 6)) for t in liked]
        disliked = rng.choice(others[others != NEVER_HEARD], 4, replace=False)
        pairs += [(user, t, rng.integers(1, 4)) for t in disliked]
    users, tracks, ratings = np.array(pairs).T
    interactions = Interactions.build(
        users, tracks, n_users=N_USERS, n_tracks=N_TRACKS, rating=ratings.astype(float)
    )
    genres = [[f"genre {t % N_TASTES}"] for t in range(N_TRACKS)]
    return interactions, ContentFeatures.build(genres)


@pytest.fixture(scope="module")
def fitted():
    reports = []
    result = fit(*make_world(), config=QUICK, progress=reports.append)
    return result, reports


def of_taste(rows, taste):
    return float(np.mean(np.asarray(rows) % N_TASTES == taste))


def best(scores, heard, k=5):
    scores = np.array(scores)
    scores[heard] = -np.inf
    return np.argsort(-scores)[:k]


def test_a_listener_unseen_in_training_gets_their_own_taste(fitted):
    model = fitted[0].model
    heard = np.array([2, 6, 10])
    listener = model.listener(heard, np.ones(3))
    for scores in (model.neural_scores(listener.user_vector), model.hybrid_scores(listener)):
        assert of_taste(best(scores, heard), 2) >= 0.8


def test_folding_in_a_known_listener_gives_what_training_used(fitted):
    interactions, _ = make_world()
    model = fitted[0].model
    rows, preferences = interactions.by_user().of(7)
    once = model.fold_in(rows, preferences)
    again = model.network.fold_in.embedding(rows, preferences)
    assert once[: len(again)].tolist() == again.tolist()


def test_the_pre_trained_factors_are_learned_on_by_gradient(fitted):
    network = fitted[0].model.network
    dim = len(network.fold_in.gram)
    start = QUICK.network.fusion * network.fold_in.embeddings
    heard = np.arange(N_TRACKS) != NEVER_HEARD
    moved = np.linalg.norm((network.item_factors[:, :dim] - start)[heard], axis=1)
    assert (moved > 1e-3).all()
    assert moved.mean() < np.linalg.norm(start[heard], axis=1).mean()


def test_a_track_that_nobody_heard_is_found_by_content(fitted):
    model = fitted[0].model
    taste = NEVER_HEARD % N_TASTES
    heard = np.array([taste, taste + 4, taste + 8, taste + 12])
    scores = model.network.factor_scores(model.fold_in(heard, np.ones(4)))
    other = np.setdiff1d(np.arange(N_TRACKS), np.arange(taste, N_TRACKS, N_TASTES))
    assert scores[NEVER_HEARD] > np.median(scores[other])
    rows, _ = model.similar(NEVER_HEARD, 5)
    assert of_taste(rows, taste) >= 0.8


def test_a_stated_genre_suffices_for_a_personal_list(fitted):
    model = fitted[0].model
    nobody = (np.empty(0, np.int64), np.empty(0))
    listener = model.listener(*nobody, stated=StatedTaste(genres=("genre 1",)))
    assert of_taste(best(model.neural_scores(listener.user_vector), []), 1) >= 0.8


def test_a_liked_track_is_expected_to_be_rated_higher_than_a_disliked_one(fitted):
    model = fitted[0].model
    listener = model.listener(np.array([2, 6, 10, 3]), np.array([1.0, 1.0, 1.0, 0.0]))
    same, other = np.array([14, 18, 22, 26]), np.array([15, 19, 23, 27])
    ratings = model.expected_rating(listener, same)
    assert ratings.mean() > model.expected_rating(listener, other).mean() + 0.5
    assert ((ratings >= 1) & (ratings <= 5)).all()


def test_every_stage_reports_and_metrics_are_stored(fitted):
    result, reports = fitted
    stages = [report["stage"] for report in reports if "seconds" in report]
    for stage in ("split", "factorization", "item_to_item", "network", "blend", "calibration"):
        assert stage in stages
    assert stages[-1] == "refit"
    epochs = [report for report in reports if "loss" in report]
    assert {"epoch", "epochs", "loss", "seconds"} <= epochs[0].keys()
    metadata = result.model.metadata
    assert metadata["metrics"] == result.metrics
    assert metadata["n_parameters"] == result.n_parameters
    assert {"mae", "expected_calibration_error", "ndcg@20_hybrid_ensemble"} <= result.metrics.keys()
    assert sum(metadata["reliability"]["counts"]) == result.metrics["n_calibration"]


def test_the_same_seed_gives_the_same_model(fitted):
    again = fit(*make_world(), config=QUICK).model
    model = fitted[0].model
    vector = model.fold_in(np.array([2, 6]), np.ones(2))
    assert again.fold_in(np.array([2, 6]), np.ones(2)) == pytest.approx(vector, abs=1e-4)
    assert again.neural_scores(vector) == pytest.approx(model.neural_scores(vector), abs=1e-3)


def test_a_trained_model_survives_saving(fitted, tmp_path):
    model = fitted[0].model
    artefact.save(tmp_path / "v1", model)
    loaded = artefact.load(tmp_path / "v1")
    here = model.hybrid_scores(model.listener(np.array([2]), np.ones(1)))
    there = loaded.hybrid_scores(loaded.listener(np.array([2]), np.ones(1)))
    assert there == pytest.approx(here, abs=1e-5)
    assert loaded.metadata["chosen"] == model.metadata["chosen"]


def test_a_catalogue_too_large_to_be_scored_whole_is_indexed_and_halved(fitted, monkeypatch):
    monkeypatch.setattr("recommendations.training.fit.EXACT_LIMIT", 2)
    exact, large = fitted[0].model, fit(*make_world(), config=QUICK).model
    assert exact.index is None
    assert large.index is not None
    for table in (large.network.item_factors, large.similarity.values):
        assert table.dtype == np.float16
    vector = exact.fold_in(np.array([2, 6]), np.ones(2))
    scores = large.neural_scores(vector)
    assert scores == pytest.approx(exact.neural_scores(vector), abs=0.02)
    # What is chosen on held-out responses is chosen before anything is rounded.
    chosen = [model.metadata["chosen"]["blend"] for model in (exact, large)]
    assert chosen[0] == chosen[1]
    assert large.metadata["metrics"]["first_stage_recall@100"] == 1.0  # all are candidates here
    assert not {name for name in exact.metadata["metrics"] if "recall@100" in name}


def test_an_index_that_looks_at_some_cells_only_reports_what_it_misses(fitted, monkeypatch):
    for limit in ("EXACT_LIMIT", "SCAN_LIMIT"):
        monkeypatch.setattr(f"recommendations.training.fit.{limit}", 2)
    monkeypatch.setattr("recommendations.training.fit.N_CANDIDATES", 5)
    monkeypatch.setattr("recommendations.training.fit.RECALL_AT", 10)
    reports = []
    result = fit(*make_world(), config=QUICK, progress=reports.append)
    index = result.model.index
    recall = result.metrics["cells_recall@10"]
    # Asked for five, it finds some five of the ten best.
    assert index.cells is not None
    assert 0 < recall < 1
    assert result.model.metadata["metrics"]["cells_recall@10"] == recall
    assert reports[-1]["cells_recall@10"] == recall


def test_plays_alone_still_give_calibrated_scores_and_say_so():
    rated, content = make_world()
    played = rated.take(rated.preference >= 0.5)
    played = replace(played, rating=np.full(len(played), np.nan, np.float32))
    model = fit(played, content, config=QUICK).model
    assert model.metadata["ratings"] == "1 + 4 * preference"
    ratings = model.expected_rating(model.listener(np.array([2, 6]), np.ones(2)), np.array([10]))
    assert 3 <= ratings[0] <= 5


def test_one_listener_with_one_track_is_enough_to_train_on():
    lonely = Interactions.build([0], [1], n_users=1, n_tracks=3)
    model = fit(lonely, ContentFeatures.empty(3), config=QUICK).model
    assert np.isfinite(model.hybrid_scores(model.listener(np.array([1]), np.ones(1)))).all()


def test_nothing_to_learn_from_and_another_catalogue_are_refused():
    nothing = Interactions.build([], [], n_users=1, n_tracks=3)
    with pytest.raises(ValueError, match="at least one interaction"):
        fit(nothing, ContentFeatures.empty(3))
    one = Interactions.build([0], [1], n_users=1, n_tracks=3)
    with pytest.raises(ValueError, match="content of 4 tracks, interactions of 3"):
        fit(one, ContentFeatures.empty(4))
