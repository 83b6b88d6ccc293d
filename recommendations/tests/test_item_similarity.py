import numpy as np
import pytest
from scipy import sparse

from recommendations.core.item_similarity import (
    SimilarityConfig,
    item_weights,
    similar_tracks,
)


def make_matrix(n_users, n_tracks, seed=0):
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix((rng.random((n_users, n_tracks)) < 0.3).astype(np.float32))


def dense(weights):
    return np.stack(
        [
            weights.take(np.array([i])).weighted_sum(np.ones(1)).dense()
            for i in range(weights.n_rows)
        ]
    )


def test_weights_solve_the_constrained_regression():
    # Each column is the ridge regression of one track on the others (Steck 2019, equation 1).
    matrix = make_matrix(60, 8)
    config = SimilarityConfig(penalty=5, penalty_per_count=0.5)
    found = dense(item_weights(matrix, config))
    x = matrix.toarray()
    penalty = 5 + 0.5 * x.sum(axis=0)
    for target in range(8):
        others = [i for i in range(8) if i != target]
        gram = x[:, others].T @ x[:, others] + np.diag(penalty[others])
        expected = np.linalg.solve(gram, x[:, others].T @ x[:, target])
        assert found[others, target] == pytest.approx(expected, abs=2e-3)
        assert found[target, target] == 0


def test_fewer_listeners_than_tracks_give_the_same_weights():
    matrix = make_matrix(20, 30)
    config = SimilarityConfig(penalty=3, penalty_per_count=1)
    few = dense(item_weights(matrix, config))
    # Listeners who did nothing change no sum, but make the tracks the smaller side.
    padded = sparse.vstack([matrix, sparse.csr_matrix((20, 30), dtype=np.float32)], format="csr")
    assert few == pytest.approx(dense(item_weights(padded, config)), abs=2e-3)


@pytest.mark.parametrize("shape", [(1500, 1100), (1100, 1500)])
def test_weights_are_the_same_over_several_blocks(shape):
    matrix = make_matrix(*shape)
    config = SimilarityConfig(penalty=40, penalty_per_count=0, room=shape[1] ** 2)
    x = matrix.toarray().astype(float)
    inverse = np.linalg.inv(x.T @ x + 40 * np.eye(shape[1]))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    assert dense(item_weights(matrix, config)) == pytest.approx(expected, abs=2e-4)


def test_the_strongest_weights_of_each_target_are_kept():
    matrix = make_matrix(60, 12)
    everything = dense(item_weights(matrix, SimilarityConfig(penalty=5)))
    few = dense(item_weights(matrix, SimilarityConfig(penalty=5, neighbours=3, room=0)))
    for target in range(12):
        strongest = np.sort(np.abs(everything[:, target]))[-3:]
        assert np.sort(np.abs(few[:, target]))[-3:] == pytest.approx(strongest)
        assert np.count_nonzero(few[:, target]) <= 3


def test_a_small_catalogue_keeps_more_than_the_fewest_neighbours():
    matrix = make_matrix(60, 12)
    weights = dense(item_weights(matrix, SimilarityConfig(penalty=5, neighbours=3, room=12 * 7)))
    assert np.count_nonzero(weights, axis=0).tolist() == [7] * 12


def test_a_weight_that_speaks_against_a_track_makes_none_similar():
    rng = np.random.default_rng(0)
    first = rng.random(200) < 0.5
    matrix = sparse.csr_matrix(
        np.stack([first, ~first, np.ones(200, bool)], axis=1).astype(np.float32)
    )
    weights = item_weights(matrix, SimilarityConfig(penalty=5))
    assert dense(weights)[0, 1] < 0
    rows, scores = similar_tracks(weights, np.zeros((3, 2), np.float32), 0, k=1)
    assert rows.tolist() == [2]
    assert scores[0] > 1


def test_a_track_nobody_heard_has_no_weights_but_still_has_neighbours():
    matrix = make_matrix(60, 6).tolil()
    matrix[:, 4] = 0
    weights = item_weights(matrix.tocsr(), SimilarityConfig(penalty=5))
    assert not dense(weights)[4].any()
    assert not dense(weights)[:, 4].any()
    embeddings = np.eye(6, 3, dtype=np.float32)
    embeddings[4] = [0.1, 1.0, 0.0]
    rows, scores = similar_tracks(weights, embeddings, 4, k=2)
    assert rows[0] == 1
    assert 0.9 < scores[0] <= 1


def test_a_track_is_not_like_itself():
    weights = item_weights(make_matrix(60, 6), SimilarityConfig(penalty=5))
    rows, scores = similar_tracks(weights, np.eye(6, dtype=np.float32), 2, k=10)
    assert sorted(rows.tolist()) == [0, 1, 3, 4, 5]
    assert (np.diff(scores) <= 0).all()


def test_where_both_sides_are_large_only_the_most_heard_tracks_take_part():
    matrix = make_matrix(60, 20)
    weights = dense(item_weights(matrix, SimilarityConfig(penalty=5, max_tracks=10)))
    counts = np.asarray(matrix.sum(axis=0)).ravel()
    kept = np.argsort(-counts, kind="stable")[:10]
    left_out = np.setdiff1d(np.arange(20), kept)
    assert weights[np.ix_(kept, kept)].any()
    assert not weights[left_out].any()
    assert not weights[:, left_out].any()
