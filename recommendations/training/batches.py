"""Training examples for the network: each listener's history split into what is given and asked.

A listener's embedding is fitted to the history, so a network trained on the same history would
learn to trust it too much.  Hence, as with denoising autoencoders, each epoch draws for every
listener the tracks to be predicted, and folds the listener in from the others alone: just what
serving does.  Negatives are drawn uniformly, shared by the listeners of a batch, and those that a
listener did respond to are masked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from recommendations.core.fold_in import FoldIn
from recommendations.core.interactions import NEUTRAL, Histories
from recommendations.core.neumf import activity_of, pooling_weights
from recommendations.training.distributed import ALONE, Replica

SIGNATURE = {
    "embedding": tf.TensorSpec((None, None), tf.float32),
    "activity": tf.TensorSpec((None, 2), tf.float32),
    "history_rows": tf.TensorSpec((None,), tf.int32),
    "history_owner": tf.TensorSpec((None,), tf.int32),
    "history_weight": tf.TensorSpec((None,), tf.float32),
    "target_rows": tf.TensorSpec((None,), tf.int32),
    "target_owner": tf.TensorSpec((None,), tf.int32),
    "target_preference": tf.TensorSpec((None,), tf.float32),
    "target_weight": tf.TensorSpec((None,), tf.float32),
    "negative_rows": tf.TensorSpec((None,), tf.int32),
    "negative_allowed": tf.TensorSpec((None, None), tf.bool),
}


@dataclass(frozen=True)
class BatchConfig:
    """How examples are drawn.

    Attributes:
        users_per_batch: listeners in one step.
        batches: steps in an epoch, above which steps take in more listeners instead: each moves
            the embeddings of all tracks (Adam's moments do), so that ever more steps over ever
            more tracks would take time that grows with their product.
        max_users_per_batch: listeners in one step, at most.
        negatives: tracks drawn as negatives for each step while the perceptron takes part.
        negatives_without_perceptron: the same, while a step is a mere matrix product.
        target_share: share of a history to be predicted, at least one track.
        max_history: the most tracks of a history that are used at once.
    """

    users_per_batch: int = 64
    batches: int = 192
    max_users_per_batch: int = 1024
    negatives: int = 256
    negatives_without_perceptron: int = 4096
    target_share: float = 0.25
    max_history: int = 1000

    def for_listeners(self, n_users: int) -> BatchConfig:
        """Return the settings with as many listeners in a step as so many in all ask for."""
        wanted = min(-(-n_users // self.batches), self.max_users_per_batch)
        return replace(self, users_per_batch=max(self.users_per_batch, wanted))

    def without_perceptron(self) -> BatchConfig:
        """Return the settings while the perceptron does not take part."""
        return replace(self, negatives=self.negatives_without_perceptron)


def batches(
    histories: Histories,
    fold_in: FoldIn,
    mean_preference: float,
    config: BatchConfig,
    *,
    seed: int,
    epoch: int,
    replica: Replica = ALONE,
) -> tf.data.Dataset:
    """Return one epoch's batches, each listener with a history once, prepared ahead of use.

    Of several replicas each gets its share of the listeners of every batch.
    """

    def generate() -> Iterator[dict[str, np.ndarray]]:
        rng = np.random.default_rng([seed, epoch])
        users = rng.permutation(np.flatnonzero(np.diff(histories.starts) > 0))
        for begin in range(0, len(users), config.users_per_batch):
            batch = users[begin : begin + config.users_per_batch]
            chosen = batch[replica.index :: replica.n]
            if len(batch) < replica.n:  # all have a step, or none has
                return
            yield _batch(chosen, histories, fold_in, mean_preference, config, rng)

    return tf.data.Dataset.from_generator(generate, output_signature=SIGNATURE).prefetch(2)


def _batch(
    users: np.ndarray,
    histories: Histories,
    fold_in: FoldIn,
    mean_preference: float,
    config: BatchConfig,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    n_tracks = histories.n_tracks
    negatives = rng.permutation(n_tracks)[: config.negatives]
    column_of = np.full(n_tracks, -1)
    column_of[negatives] = np.arange(len(negatives))
    allowed = np.ones((len(users), len(negatives)), bool)
    embeddings = np.empty((len(users), fold_in.embeddings.shape[1]), np.float32)
    activity = np.empty((len(users), 2), np.float32)
    given_rows, given_weights, asked = [], [], []
    for i, user in enumerate(users):
        mine = np.arange(histories.starts[user], histories.starts[user + 1])
        rng.shuffle(mine)
        n_asked = max(1, round(config.target_share * len(mine)))
        asked.append(mine[:n_asked])
        given = mine[n_asked:][: config.max_history]
        rows, preferences = histories.track_rows[given], histories.preference[given]
        embeddings[i] = fold_in.embedding(rows, preferences, weights=histories.weight[given])
        activity[i] = activity_of(preferences, mean_preference)
        given_rows.append(rows)
        given_weights.append(pooling_weights(preferences))
        known = histories.preference[mine] >= NEUTRAL
        columns = column_of[histories.track_rows[mine[known]]]
        allowed[i, columns[columns >= 0]] = False
    targets = np.concatenate(asked)
    return {
        "embedding": embeddings,
        "activity": activity,
        "history_rows": np.concatenate(given_rows),
        "history_owner": _owners(given_rows),
        "history_weight": np.concatenate(given_weights).astype(np.float32),
        "target_rows": histories.track_rows[targets],
        "target_owner": _owners(asked),
        "target_preference": histories.preference[targets],
        "target_weight": histories.weight[targets],
        "negative_rows": negatives.astype(np.int32),
        "negative_allowed": allowed,
    }


def _owners(groups: list[np.ndarray]) -> np.ndarray:
    return np.repeat(np.arange(len(groups), dtype=np.int32), [len(group) for group in groups])
