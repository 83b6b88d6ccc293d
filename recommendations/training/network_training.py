"""Learning the network: all of the tracks' embeddings, the perceptron and the rating head, by Adam.

The factorization branch starts pre-trained, and every track's factors are learned on from there
together with the other branches.  The weight that joins the folded-in embedding's score to the
rest (alpha in He et al., WWW 2017, equation 13) is looked at once more on validation: the
pre-trained embeddings were fitted to the very pairs that the network learns from, so a weight
learned on those alone would trust them too much.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from recommendations.core.fold_in import FoldIn
from recommendations.core.interactions import NEUTRAL, Histories
from recommendations.core.neumf import NeuMF
from recommendations.training.batches import BatchConfig, batches
from recommendations.training.distributed import this_replica
from recommendations.training.network import Network
from recommendations.training.selection import Progress, Report
from recommendations.training.validation import ValidationSlice

FUSION_WEIGHTS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""Factors that the learned score of the folded-in embedding is tried with."""


@dataclass(frozen=True)
class OptimizerConfig:
    """How the network is optimised.

    Attributes:
        learning_rate: Adam's, decayed by a cosine to zero over all planned steps.
        steps: steps planned, in whole epochs, between `min_epochs` and `max_epochs` of them.
        min_epochs: the fewest epochs planned.
        max_epochs: the most epochs planned.
        joint_share: share of the epochs, the last ones, in which the perceptron takes part; before
            them the history branch is trained alone, at a fraction of the cost.
        check_every: epochs between looks at the validation slice.
        patience: looks without a better score before stopping.
        rating_weight: weight of the rating head's loss beside the ranking loss.
    """

    learning_rate: float = 3e-3
    steps: int = 1500
    min_epochs: int = 8
    max_epochs: int = 10
    joint_share: float = 0.15
    check_every: int = 4
    patience: int = 2
    rating_weight: float = 1.0

    def epochs(self, steps_per_epoch: int) -> int:
        """Return how many epochs are planned."""
        return int(np.clip(self.steps // max(steps_per_epoch, 1), self.min_epochs, self.max_epochs))


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """The best network found, and how to find one like it on more data.

    Attributes:
        network: exported.
        fusion_weight: factor on the learned score of the folded-in embedding.
        epochs: after how many epochs it was found.
    """

    network: NeuMF
    fusion_weight: float
    epochs: int


def train_network(
    network: Network,
    histories: Histories,
    fold_in: FoldIn,
    mean_preference: float,
    *,
    batch_config: BatchConfig,
    config: OptimizerConfig,
    seed: int,
    validation: ValidationSlice | None = None,
    like: TrainedNetwork | None = None,
    progress: Progress = lambda report: None,
) -> TrainedNetwork:
    """Train with early stopping on a validation slice, or just as another network was trained.

    Args:
        network: untrained.
        histories: training data.
        fold_in: the factorization branch.
        mean_preference: over the training data.
        batch_config: how examples are drawn.
        config: the optimizer's settings.
        seed: of the examples drawn.
        validation: what epochs and fusion weight are chosen on.
        like: takes epochs and fusion weight from here instead.
        progress: called after each epoch.

    Raises:
        ValueError: neither or both of `validation` and `like`.
    """
    if (validation is None) == (like is None):
        raise ValueError("training needs either a validation slice or a network to be like")
    replica = this_replica()
    n_users = int(np.count_nonzero(np.diff(histories.starts)))
    batch_config = batch_config.for_listeners(n_users)
    steps_per_epoch = -(-n_users // batch_config.users_per_batch)
    planned = config.epochs(steps_per_epoch)
    joint_from = 1 + round(planned * (1 - config.joint_share))
    schedule = keras.optimizers.schedules.CosineDecay(
        config.learning_rate, planned * steps_per_epoch
    )
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(network.trainable_variables)
    steps = {
        perceptron: _step_function(network, optimizer, config, perceptron=perceptron)
        for perceptron in (False, True)
    }
    best, best_score, bad_looks = None, -np.inf, 0
    for epoch in range(1, (like.epochs if like else planned) + 1):
        began = time.monotonic()
        joint = epoch >= joint_from
        drawn = batch_config if joint else batch_config.without_perceptron()
        examples = batches(
            histories, fold_in, mean_preference, drawn, seed=seed, epoch=epoch, replica=replica
        )
        losses = [steps[joint](batch) for batch in examples]
        report: Report = {
            "stage": "network",
            "epoch": epoch,
            "epochs": like.epochs if like else planned,
            "loss": float(np.mean(losses)),
        }
        if validation is not None and (epoch % config.check_every == 0 or epoch == planned):
            exported = network.export(fold_in, mean_preference)
            weight, score = _choose_fusion(exported, validation)
            report["validation"] = score
            bad_looks += 1
            if score > best_score:
                fused = network.export(fold_in, mean_preference, weight)
                best, best_score, bad_looks = TrainedNetwork(fused, weight, epoch), score, 0
        progress({**report, "seconds": round(time.monotonic() - began, 2)})
        if bad_looks >= config.patience:
            break
    if like is not None:
        fused = network.export(fold_in, mean_preference, like.fusion_weight)
        return replace(like, network=fused)
    assert best is not None  # noqa: S101 (there is a look after the last planned epoch)
    return best


def _choose_fusion(network: NeuMF, validation: ValidationSlice) -> tuple[float, float]:
    """Return the weight of the folded-in embedding that ranks best, and its NDCG@20."""
    dim = len(network.fold_in.gram)
    weights = np.array(FUSION_WEIGHTS, np.float32)[:, None] - 1  # one is in the logit already
    embeddings = np.ascontiguousarray(network.item_factors[:, :dim])

    def variants(rows: np.ndarray, preferences: np.ndarray) -> np.ndarray:
        vector = network.user_vector(rows, preferences)
        return network.scores(vector) + weights * (embeddings @ vector[:dim])

    scores = validation.ndcg(variants)
    chosen = int(np.argmax(scores))
    return FUSION_WEIGHTS[chosen], float(scores[chosen])


def _step_function(
    network: Network,
    optimizer: keras.optimizers.Optimizer,
    config: OptimizerConfig,
    *,
    perceptron: bool,
) -> Callable[[dict[str, tf.Tensor]], tf.Tensor]:
    strategy = tf.distribute.get_strategy()

    def on_replica(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = _loss(network, batch, config, perceptron=perceptron)
        variables = network.trainable_variables
        gradients = tape.gradient(loss, variables)
        # Without the perceptron, its variables have no gradient.  Replicas' gradients are added up
        # by the optimizer, so that each gives its share of their mean.
        optimizer.apply(
            [
                tf.zeros_like(variable)
                if gradient is None
                else tf.convert_to_tensor(gradient) / strategy.num_replicas_in_sync
                for gradient, variable in zip(gradients, variables, strict=True)
            ]
        )
        return loss

    @tf.function(reduce_retracing=True)
    def step(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        if strategy.num_replicas_in_sync == 1:
            return on_replica(batch)
        losses = strategy.run(on_replica, args=(batch,))
        return strategy.reduce(tf.distribute.ReduceOp.MEAN, losses, axis=None)

    return step


def _loss(
    network: Network, batch: dict[str, tf.Tensor], config: OptimizerConfig, *, perceptron: bool
) -> tf.Tensor:
    """Return the sampled softmax of targets against negatives, squared rating error and L2."""
    users = network.user_inputs(
        batch["embedding"],
        batch["history_rows"],
        batch["history_owner"],
        batch["history_weight"],
        batch["activity"],
    )
    owner, preference, weight = (
        batch["target_owner"],
        batch["target_preference"],
        batch["target_weight"],
    )
    negatives, positives, rating = network(
        users,
        batch["negative_rows"],
        owner,
        batch["target_rows"],
        training=True,
        perceptron=perceptron,
    )
    masked = tf.where(batch["negative_allowed"], negatives, -1e9)
    # Drawn uniformly, each negative stands for as many tracks as there are for each drawn.
    share = tf.shape(network.factors)[0] / tf.shape(masked)[1]
    against = tf.reduce_logsumexp(masked, axis=1) + tf.cast(tf.math.log(share), tf.float32)
    margin = positives - tf.gather(against, owner)
    # A track liked a little is a weaker positive; a rejected one is to rank below the others.
    liked = tf.where(preference >= NEUTRAL, 0.25 + 0.75 * (2 * preference - 1), 0.0)
    rejected = tf.where(preference < NEUTRAL, 1 - 2 * preference, 0.0)
    ranking = liked * tf.nn.softplus(-margin) + rejected * tf.nn.softplus(margin)
    squared = (rating - preference) ** 2
    touched = sum(
        tf.reduce_mean(tf.reduce_sum(embeddings**2, axis=1))
        for embeddings in (
            network.item_inputs(batch["target_rows"]),
            network.item_inputs(batch["negative_rows"]),
            network.drift(batch["target_rows"]),
            network.drift(batch["negative_rows"]),
            tf.gather(network.histories, batch["history_rows"]),
        )
    )
    return (
        tf.reduce_mean(weight * (ranking + config.rating_weight * squared))
        + network.config.l2 * touched
    )
