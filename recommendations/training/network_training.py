"""Learning the network's perceptron branch, fusion and rating head."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from recommendations.core.fold_in import FoldIn
from recommendations.core.interactions import Histories
from recommendations.core.neumf import NeuMF
from recommendations.training.batches import BatchConfig, batches
from recommendations.training.network import Network

Report = dict[str, float | int | str]
Progress = Callable[[Report], None]


@dataclass(frozen=True)
class OptimizerConfig:
    """How the network is optimised.

    Attributes:
        learning_rate: Adam's, decayed by a cosine to zero over `max_epochs`.
        max_epochs: the most passes over the listeners.
        patience: epochs without a better validation score before stopping.
        rating_weight: weight of the rating head's loss beside the ranking loss.
    """

    learning_rate: float = 3e-3
    max_epochs: int = 12
    patience: int = 3
    rating_weight: float = 1.0
    pretrain_epochs: int = 8


def train_network(
    network: Network,
    histories: Histories,
    fold_in: FoldIn,
    mean_preference: float,
    *,
    batch_config: BatchConfig,
    config: OptimizerConfig,
    seed: int,
    score: Callable[[NeuMF], float] | None,
    n_epochs: int | None = None,
    progress: Progress = lambda report: None,
) -> tuple[NeuMF, int]:
    """Train, and return the best network exported, with its number of epochs.

    Args:
        network: fresh, or to be trained further.
        histories: training data.
        fold_in: the factorization branch.
        mean_preference: over the training data.
        batch_config: how examples are drawn.
        config: the optimizer's settings.
        seed: of the examples drawn.
        score: validation score of an exported network, higher is better; None to train for all
            epochs without looking.
        n_epochs: number of epochs, if not `config.max_epochs`.
        progress: called after each epoch.
    """
    n_epochs = config.max_epochs if n_epochs is None else n_epochs
    n_users = int((np.diff(histories.starts) > 0).sum())
    steps = max(1, -(-n_users // batch_config.users_per_batch)) * max(1, n_epochs)
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(network.trainable_variables)
    pretrain = _step_function(network, optimizer, config, histories.n_tracks, perceptron=False)
    joint = _step_function(network, optimizer, config, histories.n_tracks, perceptron=True)
    best, best_score, best_epoch = network.export(fold_in, mean_preference), -np.inf, 0
    if score is not None:
        best_score = score(best)
        progress({"stage": "network", "epoch": 0, "validation": best_score})
    for epoch in range(1, n_epochs + 1):
        began = time.monotonic()
        pre = epoch <= config.pretrain_epochs
        step = pretrain if pre else joint
        bc = (
            batch_config
            if not pre
            else dataclasses.replace(batch_config, negatives=batch_config.pretrain_negatives)
        )
        losses = [
            step(batch)
            for batch in batches(histories, fold_in, mean_preference, bc, seed=seed, epoch=epoch)
        ]
        report: Report = {
            "stage": "network",
            "epoch": epoch,
            "loss": float(np.mean(losses)),
            "seconds": time.monotonic() - began,
        }
        exported = network.export(fold_in, mean_preference)
        if score is None:
            best, best_epoch = exported, epoch
        else:
            report["validation"] = value = score(exported)
            if value > best_score:
                best, best_score, best_epoch = exported, value, epoch
        progress(report)
        if score is not None and epoch - best_epoch >= config.patience:
            break
    return best, best_epoch


def _step_function(
    network: Network,
    optimizer: keras.optimizers.Optimizer,
    config: OptimizerConfig,
    n_tracks: int,
    perceptron: bool,
) -> Callable[[dict[str, tf.Tensor]], tf.Tensor]:
    @tf.function(reduce_retracing=True)
    def step(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = _loss(network, batch, config, n_tracks, perceptron)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(
            [
                tf.convert_to_tensor(g) if g is not None else tf.zeros_like(v)
                for g, v in zip(gradients, network.trainable_variables, strict=True)
            ]
        )
        return loss

    return step


def _loss(
    network: Network,
    batch: dict[str, tf.Tensor],
    config: OptimizerConfig,
    n_tracks: int,
    perceptron: bool,
) -> tf.Tensor:
    """Sampled softmax over the target and the batch's negatives, and squared rating error."""
    users = network.user_inputs(
        batch["embedding"],
        batch["history_rows"],
        batch["history_owner"],
        batch["history_weight"],
        batch["activity"],
    )
    owner, preference = batch["target_owner"], batch["target_preference"]
    negatives, positives, rating = network(
        users,
        batch["negative_rows"],
        owner,
        batch["target_rows"],
        training=True,
        perceptron=perceptron,
    )
    masked = tf.where(batch["negative_allowed"], negatives, -1e9)
    n_negatives = tf.cast(tf.shape(masked)[1], tf.float32)
    # Uniform sampling: each negative stands for n_tracks / n_negatives tracks.
    others = tf.reduce_logsumexp(masked, axis=1) + tf.math.log(n_tracks / n_negatives)
    against = tf.gather(others, owner)
    liked = tf.nn.relu(2 * preference - 1) * 0.75 + 0.25
    liked = tf.where(preference >= 0.5, liked, 0.0) * batch["target_weight"]
    disliked = tf.where(preference < 0.5, 1.0, 0.0) * batch["target_weight"]
    ranking = liked * tf.nn.softplus(against - positives)
    ranking += disliked * tf.nn.softplus(positives - against)
    squared = batch["target_weight"] * (rating - preference) ** 2
    touched = (
        tf.reduce_mean(tf.reduce_sum(network.item_inputs(batch["target_rows"]) ** 2, axis=1))
        + tf.reduce_mean(tf.reduce_sum(network.item_inputs(batch["negative_rows"]) ** 2, axis=1))
        + tf.reduce_mean(tf.reduce_sum(tf.gather(network.histories, batch["history_rows"]) ** 2, 1))
    )
    return (
        tf.reduce_mean(ranking)
        + config.rating_weight * tf.reduce_mean(squared)
        + network.config.l2 * touched
    )
