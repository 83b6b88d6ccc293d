"""NeuMF (He et al., WWW 2017) as a Keras model, and its export to arrays for serving.

The factorization branch starts from the embeddings of `training.factorization` (pre-training, as
in He et al., section 3.4.1); its tracks' embeddings, the history's, the perceptron branch and the
fusion are learned here together, by gradient.  Nothing outside `training/` imports this module,
and TensorFlow with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from scipy import sparse

from recommendations.core.fold_in import FoldIn
from recommendations.core.neumf import NeuMF

_EPSILON = 1e-3  # batch normalization


@dataclass(frozen=True)
class NetworkConfig:
    """Shape and regularization of the perceptron branch.

    Attributes:
        history_dim: length of the pooled embedding of a history, and of the track embedding that it
            meets in the factorization branch and that enters the perceptron.
        layers: widths of the hidden layers.
        dropout: rate after each hidden layer.
        l2: penalty per sample on the embeddings that the sample touches; on those that were
            pre-trained, on their distance from where they started.
        fusion: weight of the pre-trained factorization's score (about 0 to 1) in the logit that
            learning starts from.
    """

    history_dim: int = 58
    layers: tuple[int, ...] = (32, 16)
    dropout: float = 0.1
    l2: float = 1e-3
    fusion: float = 12.0


class Network(keras.Model):
    """Factorization branch, perceptron branch, fusion and rating head.

    Every table of embeddings is an own part per track plus a projection of its content.
    """

    def __init__(
        self,
        fold_in: FoldIn,
        content: sparse.csr_matrix,
        item_mean: np.ndarray,
        config: NetworkConfig,
        seed: int,
    ) -> None:
        super().__init__()
        self.config = config
        n_tracks, dim = fold_in.embeddings.shape
        n_features = content.shape[1]
        start = fold_in.embeddings * np.float32(config.fusion)
        self.pretrained = tf.constant(start)
        self.factors = self.add_weight(
            shape=start.shape, initializer=_exactly(start), name="factors"
        )
        self.content = tf.constant(content.toarray().astype(np.float32))
        self.item_mean = tf.constant(item_mean, tf.float32)
        seeds = keras.random.SeedGenerator(seed)

        def table(name: str, shape: tuple[int, ...], scale: float) -> keras.Variable:
            start = keras.initializers.RandomNormal(stddev=scale, seed=seeds)
            return self.add_weight(shape=shape, initializer=start, name=name)

        self.items = table("items", (n_tracks, config.history_dim), 0.05)
        self.item_projection = table("item_projection", (n_features, config.history_dim), 0.01)
        self.histories = table("histories", (n_tracks, config.history_dim), 0.05)
        self.history_projection = table(
            "history_projection", (n_features, config.history_dim), 0.01
        )
        self.item_bias = self.add_weight(
            shape=(n_tracks,),
            initializer=keras.initializers.Zeros(),
            name="item_bias",
        )
        widths = config.layers
        user_dim = dim + config.history_dim + 2
        glorot = keras.initializers.GlorotNormal(seed=seeds)
        self.user_kernel = self.add_weight(
            shape=(user_dim, widths[0]), initializer=glorot, name="user_kernel"
        )
        self.item_kernel = self.add_weight(
            shape=(config.history_dim, widths[0]), initializer=glorot, name="item_kernel"
        )
        # Of several processes, each must hold the same moments, as it holds the same weights.
        together = tf.distribute.get_strategy().num_replicas_in_sync > 1
        self.norms = [
            keras.layers.BatchNormalization(epsilon=_EPSILON, synchronized=together) for _ in widths
        ]
        self.dropouts = [keras.layers.Dropout(config.dropout, seed=seed + i) for i in range(9)]
        self.hidden = [
            keras.layers.Dense(width, use_bias=False, kernel_initializer=glorot)
            for width in widths[1:]
        ]
        self.output_kernel = self.add_weight(
            shape=(widths[-1], 1), initializer=keras.initializers.Zeros(), name="output_kernel"
        )
        # The head starts as listener's mean plus track's mean less the overall mean, on the logit's
        # scale, of which 4 is the slope at one half.
        overall = float(np.mean(item_mean))
        start = np.zeros(widths[-1] + 4, np.float32)
        start[-3:] = 4.0, 4.0, -4.0 * (overall + 0.5)
        self.rating_kernel = self.add_weight(
            shape=start.shape, initializer=_exactly(start), name="rating_kernel"
        )
        for norm, width in zip(self.norms, widths, strict=True):
            norm.build((None, width))
        for layer, width in zip(self.hidden, widths[:-1], strict=True):
            layer.build((None, width))
        self.built = True

    def user_inputs(
        self,
        embedding: tf.Tensor,
        rows: tf.Tensor,
        owner: tf.Tensor,
        weight: tf.Tensor,
        activity: tf.Tensor,
    ) -> tf.Tensor:
        """Return listeners' vectors (n, user_dim) from folded-in embeddings and flat histories."""
        vectors = (
            tf.gather(self.histories, rows)
            + tf.gather(self.content, rows) @ self.history_projection
        )
        pooled = tf.math.unsorted_segment_sum(
            vectors * weight[:, None], owner, tf.shape(embedding)[0]
        )
        return tf.concat([embedding, pooled, activity], axis=1)

    def item_inputs(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the perceptron branch's track embeddings, shape (n, history_dim)."""
        return tf.gather(self.items, rows) + tf.gather(self.content, rows) @ self.item_projection

    def drift(self, rows: tf.Tensor) -> tf.Tensor:
        """Return how far some tracks' factors are from where they started, shape (n, dim)."""
        return tf.gather(self.factors, rows) - tf.gather(self.pretrained, rows)

    def call(
        self,
        users: tf.Tensor,
        block_rows: tf.Tensor,
        pair_owner: tf.Tensor,
        pair_rows: tf.Tensor,
        training: bool = False,
        perceptron: bool = True,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Score every listener for the same tracks, and single pairs, in one pass.

        One pass, because batch normalization would otherwise tell positives from negatives by
        the statistics of the batch they come in.

        Args:
            users: listeners' vectors, shape (n_users, user_dim).
            block_rows: tracks scored for every listener, shape (n_rows,).
            pair_owner: row of `users` of each pair, shape (n_pairs,).
            pair_rows: track of each pair, shape (n_pairs,).
            training: whether dropout and batch statistics apply.
            perceptron: whether the perceptron branch takes part; without it, its pre-training's
                partner, the factorization branch, is trained alone and at less cost.

        Returns:
            The block's logits (n_users, n_rows), the pairs' logits and the pairs' expected
            preferences, both (n_pairs,).
        """
        dim = self.factors.shape[1]
        block_items, pair_items = self.item_inputs(block_rows), self.item_inputs(pair_rows)
        pooled = users[:, dim:-2]
        bias = self.item_bias
        block_factor = tf.matmul(pooled, block_items, transpose_b=True)
        block_factor += tf.gather(bias, block_rows)
        own = users[:, :dim]
        block_logits = block_factor + tf.matmul(
            own, tf.gather(self.factors, block_rows), transpose_b=True
        )
        pair_factor = tf.reduce_sum(tf.gather(pooled, pair_owner) * pair_items, axis=1)
        pair_factor += tf.gather(bias, pair_rows)
        pair_logits = pair_factor + tf.reduce_sum(
            tf.gather(own, pair_owner) * tf.gather(self.factors, pair_rows), axis=1
        )
        width = self.config.layers[-1]
        to_factor, to_user, to_item, constant = tf.unstack(self.rating_kernel[width:])
        rating = to_factor * pair_factor + to_user * tf.gather(users[:, -1], pair_owner)
        rating += to_item * tf.gather(self.item_mean, pair_rows) + constant
        if not perceptron:
            return block_logits, pair_logits, tf.sigmoid(rating)
        user_half = users @ self.user_kernel
        block = user_half[:, None, :] + (block_items @ self.item_kernel)[None, :, :]
        block = tf.reshape(block, (-1, self.config.layers[0]))
        pairs = tf.gather(user_half, pair_owner) + pair_items @ self.item_kernel
        hidden = self._perceptron(tf.concat([block, pairs], axis=0), training=training)
        from_hidden = tf.squeeze(hidden @ self.output_kernel, axis=1)
        n_block = tf.shape(block)[0]
        block_logits += tf.reshape(from_hidden[:n_block], tf.shape(block_logits))
        rating += tf.linalg.matvec(hidden[n_block:], self.rating_kernel[:width])
        return block_logits, pair_logits + from_hidden[n_block:], tf.sigmoid(rating)

    def _perceptron(self, hidden: tf.Tensor, *, training: bool) -> tf.Tensor:
        """Return the last hidden layer from the first one's pre-activations."""
        for i, norm in enumerate(self.norms):
            if i:
                hidden = self.hidden[i - 1](hidden)
            hidden = tf.nn.relu(norm(hidden, training=training))
            hidden = self.dropouts[i](hidden, training=training)
        return hidden

    def export(self, fold_in: FoldIn, mean_preference: float, fusion: float = 1.0) -> NeuMF:
        """Return the network as arrays, batch normalization folded in.

        Args:
            fold_in: the factorization branch.
            mean_preference: overall mean preference.
            fusion: weight of the folded-in embedding's score beside the other branches; 1 leaves
                it as learned.
        """
        everything = tf.range(self.factors.shape[0])
        items = self.item_inputs(everything)
        factors = np.concatenate([self.factors.numpy(), items.numpy()], axis=1)
        dim = self.factors.shape[1]
        gain, shift = _affine(self.norms[0])
        item_half = (items @ self.item_kernel).numpy()
        layers = []
        for layer, norm in zip(self.hidden, self.norms[1:], strict=True):
            scale, offset = _affine(norm)
            layers.append((layer.kernel.numpy() * scale, offset))
        histories = self.histories + self.content @ self.history_projection
        return NeuMF(
            item_factors=factors,
            fold_in=fold_in,
            fusion=np.concatenate(
                [np.full(dim, fusion, np.float32), np.ones(items.shape[1], np.float32)]
            ),
            item_bias=self.item_bias.numpy(),
            history_embeddings=np.asarray(histories),
            user_hidden=self.user_kernel.numpy() * gain,
            item_hidden=item_half * gain + shift,
            layers=tuple(layers),
            output=self.output_kernel.numpy()[:, 0],
            rating=self.rating_kernel.numpy(),
            rating_blend=np.array([1, 0, 0], np.float32),  # the head alone, until calibrated
            item_mean=self.item_mean.numpy(),
            mean_preference=mean_preference,
        )


def _exactly(values: np.ndarray) -> Callable[..., tf.Tensor]:
    """Return an initializer that gives these values."""
    return lambda shape, dtype=None: tf.constant(values, dtype)


def _affine(norm: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """Return the trained normalization as gain and shift."""
    gain = norm.gamma.numpy() / np.sqrt(norm.moving_variance.numpy() + _EPSILON)
    return gain, norm.beta.numpy() - norm.moving_mean.numpy() * gain
