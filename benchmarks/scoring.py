"""Time to score a whole catalogue for one listener: our arrays in numpy beside Keras.

    python -m benchmarks.scoring

Run by `benchmarks.main_job` against a database that holds a catalogue and listening.  Content,
item-to-item weights and the listener, whose history is of median length, are that data's.  The
network has the sizes that training gives it, and weights drawn at random: they are no matter for
the time.  It is given to Keras, and exported to numpy as training does; both give the same scores.
Keras gets the tracks' content already added into their embeddings, all cores, and the best of
three batch sizes; numpy gets one thread.  Prints JSON.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"  # before numpy; TensorFlow has threads of its own
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json  # noqa: E402 - threads are set above
import time  # noqa: E402 - same
from collections.abc import Callable  # noqa: E402 - same

import django  # noqa: E402 - same
import keras  # noqa: E402 - same
import numpy as np  # noqa: E402 - same
import tensorflow as tf  # noqa: E402 - same
from scipy import sparse  # noqa: E402 - same

django.setup()

from recommendations.core.calibration import Calibration  # noqa: E402 - after django.setup()
from recommendations.core.ensemble import Blend  # noqa: E402 - same
from recommendations.core.fold_in import FoldIn  # noqa: E402 - same
from recommendations.core.item_similarity import (  # noqa: E402 - same
    SimilarityConfig,
    item_weights,
    log_popularity,
)
from recommendations.core.serving_model import Listener, ServingModel  # noqa: E402 - same
from recommendations.services.snapshot import Snapshot, take_snapshot  # noqa: E402 - same
from recommendations.training.factorization import FactorizationConfig  # noqa: E402 - same
from recommendations.training.network import Network, NetworkConfig  # noqa: E402 - same
from recommendations.training.selection import affinities_of  # noqa: E402 - same

BATCH_SIZES = (1024, 4096, 1_000_000)


def main() -> None:
    """Measure, and print milliseconds and agreement as one JSON object."""
    snapshot = take_snapshot()
    network, fold_in = random_network(snapshot, np.random.default_rng(0))
    model = serving_model(snapshot, network, fold_in)
    listener = median_listener(snapshot, model)
    vector = listener.user_vector

    one = OneListener(network)
    tracks = np.arange(model.n_tracks, dtype=np.int32)
    inputs = {"user": np.repeat(vector[None], model.n_tracks, axis=0), "track": tracks}
    user, everything = tf.constant(vector[None]), tf.constant(tracks)
    nothing = tf.zeros(0, tf.int32)
    compiled = tf.function(lambda u: network(u, everything, nothing, nothing)[0])
    predict = {
        size: median_ms(lambda size=size: one.predict(inputs, batch_size=size, verbose=0), 7)
        for size in BATCH_SIZES
    }
    best = min(predict, key=predict.__getitem__)
    theirs = one.predict(inputs, batch_size=best, verbose=0)[:, 0]
    ours = model.neural_scores(vector)
    result = {
        "tracks": model.n_tracks,
        "history": len(listener.track_rows),
        "numpy_neural": median_ms(lambda: model.neural_scores(vector), 300),
        "numpy_hybrid": median_ms(lambda: model.hybrid_scores(listener), 300),
        "keras_predict": predict[best],
        "keras_batch_size": min(best, model.n_tracks),
        "keras_direct": median_ms(
            lambda: network(user, everything, nothing, nothing)[0].numpy(), 30
        ),
        "keras_compiled": median_ms(lambda: compiled(user).numpy(), 30),
        "difference": float(np.abs(ours - theirs).max()),
        "deviation": float(ours.std()),
    }
    print(json.dumps(result))


class OneListener(keras.Model):
    """The network behind the inputs that `predict` cuts into batches."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Return the logit of each row's track, shape (n, 1); all rows are one listener's."""
        nothing = tf.zeros(0, tf.int32)
        scores, _, _ = self.network(inputs["user"][:1], inputs["track"], nothing, nothing)
        return tf.transpose(scores)


def random_network(snapshot: Snapshot, rng: np.random.Generator) -> tuple[Network, FoldIn]:
    """Return a network of the default sizes, its weights drawn at random, and its fold-in."""
    n_tracks, dim = len(snapshot.track_pks), FactorizationConfig().dim
    fold_in = fold_in_with(rng.normal(0, 0.2, (n_tracks, dim)).astype(np.float32))
    no_content = sparse.csr_matrix((n_tracks, 1), dtype=np.float32)
    item_mean = np.full(n_tracks, 0.5, np.float32)
    network = Network(fold_in, no_content, item_mean, NetworkConfig(), seed=0)
    for variable in network.trainable_variables:
        variable.assign(rng.normal(0, 0.2, variable.shape).astype(np.float32))
    for norm in network.norms:
        norm.moving_mean.assign(rng.normal(0, 0.2, norm.moving_mean.shape))
        norm.moving_variance.assign(rng.uniform(0.5, 2, norm.moving_variance.shape))
    return network, fold_in


def fold_in_with(embeddings: np.ndarray) -> FoldIn:
    """Return a fold-in on these track embeddings, with the default penalties."""
    return FoldIn(
        embeddings=embeddings,
        gram=embeddings.T @ embeddings,
        prior_mean=np.zeros(embeddings.shape[1], np.float32),
        unobserved_weight=FactorizationConfig().unobserved_weight,
        regularization=FactorizationConfig().regularization,
    )


def serving_model(snapshot: Snapshot, network: Network, fold_in: FoldIn) -> ServingModel:
    """Return the network as it would serve, with the data's content and item-to-item weights."""
    pairs = snapshot.interactions
    counts = pairs.track_counts()
    return ServingModel(
        track_ids=snapshot.track_pks,
        network=network.export(fold_in, mean_preference=0.5),
        similarity=item_weights(affinities_of(pairs), SimilarityConfig()),
        content=snapshot.content,
        content_projection=np.zeros((1, fold_in.embeddings.shape[1]), np.float32),
        popularity=log_popularity(counts, pairs.n_users),
        track_counts=counts.astype(np.float32),
        blend=Blend(neural=1, item_to_item=1, content=0.1, popularity=0.1),
        calibration=Calibration.none(),
    )


def median_listener(snapshot: Snapshot, model: ServingModel) -> Listener:
    """Return the listener whose history is of median length."""
    histories = snapshot.interactions.by_user()
    lengths = np.diff(histories.starts)
    user = int(np.argsort(lengths, kind="stable")[len(lengths) // 2])
    return model.listener(*histories.of(user))


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Return the median time of `work` in milliseconds, after two calls to warm up."""
    times = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return float(1000 * np.median(times[2:]))


if __name__ == "__main__":
    main()
