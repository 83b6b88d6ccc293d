import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

from recommendations.core.fold_in import FoldIn
from recommendations.core.neumf import activity_of, pooling_weights
from recommendations.tests.models import make_network
from recommendations.training.network import Network, NetworkConfig

N_TRACKS, DIM = 70, 6


@pytest.fixture(scope="module")
def trained():
    """A network whose every variable, and batch normalization's statistics, are off their start."""
    keras.utils.set_random_seed(5)
    rng = np.random.default_rng(5)
    tracks = rng.normal(0, 0.4, (N_TRACKS, DIM)).astype(np.float32)
    fold_in = FoldIn(tracks, tracks.T @ tracks, rng.normal(0, 0.1, DIM).astype("f"), 0.1, 0.01)
    network = Network(
        fold_in,
        sparse.csr_matrix(rng.random((N_TRACKS, 4)).astype(np.float32)),
        item_mean=rng.random(N_TRACKS),
        config=NetworkConfig(history_dim=5, layers=(8, 4)),
        seed=5,
    )
    for variable in network.weights:
        shift = rng.normal(0, 0.3, variable.shape)
        if "variance" in variable.name or "gamma" in variable.name:
            shift = np.abs(shift)
        if variable.dtype == "float32":
            variable.assign_add(shift.astype(np.float32))
    return network, fold_in


def test_numpy_equals_keras_for_every_track(trained):
    network, fold_in = trained
    served = network.export(fold_in, 0.6)
    history, liking = np.array([3, 9, 40]), np.array([1.0, 0.0, 0.5], np.float32)
    everything = np.arange(N_TRACKS)
    users = network.user_inputs(
        tf.constant(fold_in.embedding(history, liking)[None]),
        tf.constant(history, tf.int32),
        tf.zeros(3, tf.int32),
        tf.constant(pooling_weights(liking)),
        tf.constant(activity_of(liking, 0.6)[None]),
    )
    block, pairs, ratings = network(
        users,
        tf.constant(everything, tf.int32),
        tf.zeros(N_TRACKS, tf.int32),
        tf.constant(everything, tf.int32),
        training=False,
    )
    vector = served.user_vector(history, liking)
    assert vector == pytest.approx(users.numpy()[0], abs=1e-5)
    assert served.scores(vector) == pytest.approx(block.numpy()[0], abs=1e-5)
    assert served.scores(vector, everything[::-1]) == pytest.approx(pairs.numpy()[::-1], abs=1e-5)
    assert served.preferences(vector, everything) == pytest.approx(ratings.numpy(), abs=1e-5)


def test_the_perceptron_and_the_history_matter_to_the_score(trained):
    network, fold_in = trained
    served = network.export(fold_in, 0.6)
    vector = served.user_vector(np.array([3, 9]), np.ones(2))
    assert not np.allclose(served.scores(vector), served.factor_scores(vector), atol=0.01)
    other = served.user_vector(np.array([3, 10]), np.ones(2))
    assert not np.allclose(served.scores(vector), served.scores(other), atol=0.01)


def test_a_vector_has_the_stated_length_even_without_a_history():
    network = make_network()
    nobody = network.user_vector(np.empty(0, np.int64), np.empty(0))
    assert nobody.shape == (network.user_dim,)
    assert np.isfinite(network.scores(nobody)).all()
    assert nobody[:4].tolist() == network.fold_in.prior_mean.tolist()


def test_a_catalogue_longer_than_one_chunk_is_scored_throughout():
    network = make_network(n_tracks=20_000)
    vector = network.user_vector(np.array([1, 2]), np.ones(2))
    rows = np.array([0, 8_191, 8_192, 19_999])
    assert network.scores(vector)[rows] == pytest.approx(network.scores(vector, rows), abs=1e-5)
