"""NeuMF (He et al., WWW 2017) as a Keras model, and its export to arrays for serving.

The factorization branch starts from the embeddings of `training.factorization`, the perceptron
branch and the fusion are learned here.  Nothing outside `training/` imports this module, and with it
TensorFlow.
"""

from __future__ import annotations

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
        item_dim: length of the track embedding of the perceptron branch.
        history_dim: length of the pooled embedding of a history.
        layers: widths of the hidden layers.
        dropout: rate after each hidden layer.
        l2: penalty per sample on the embeddings that the sample touches.
    """

    item_dim: int = 32
    history_dim: int = 32
    layers: tuple[int, ...] = (32, 16)
    dropout: float = 0.1
    l2: float = 1e-4


class Network(keras.Model):
    """Factorization branch, perceptron branch, fusion and rating head.

    Every table of embeddings is an own part per track plus a projection of its content.
    """

    def __init__(
        self,
        fold_in: FoldIn,
        content: sparse.csr_matrix,
        item_mean: np.ndarray,
        item_prior: np.ndarray,
        config: NetworkConfig,
        seed: int,
    ) -> None:
        super().__init__()
        self.config = config
        n_tracks, dim = fold_in.embeddings.shape
        n_features = content.shape[1]
        self.factors = tf.constant(fold_in.embeddings)
        self.content = tf.constant(content.toarray().astype(np.float32))
        self.item_mean = tf.constant(item_mean, tf.float32)
        seeds = keras.random.SeedGenerator(seed)

        def table(name: str, shape: tuple[int, ...], scale: float) -> keras.Variable:
            start = keras.initializers.RandomNormal(stddev=scale, seed=seeds)
            return self.add_weight(shape=shape, initializer=start, name=name)

        self.items = table("items", (n_tracks, config.item_dim), 0.05)
        self.item_projection = table("item_projection", (n_features, config.item_dim), 0.01)
        self.histories = table("histories", (n_tracks, config.history_dim), 0.05)
        self.history_projection = table(
            "history_projection", (n_features, config.history_dim), 0.01
        )
        self.fusion = self.add_weight(
            shape=(dim,), initializer=keras.initializers.Constant(8.0), name="fusion"
        )
        self.item_bias = self.add_weight(
            shape=(n_tracks,), initializer=keras.initializers.Zeros(), name="item_bias"
        )
        self.item_prior = tf.constant(item_prior, tf.float32)
        widths = config.layers
        user_dim = dim + config.history_dim + 2
        glorot = keras.initializers.GlorotNormal(seed=seeds)
        self.user_kernel = self.add_weight(
            shape=(user_dim, widths[0]), initializer=glorot, name="user_kernel"
        )
        self.item_kernel = self.add_weight(
            shape=(config.item_dim, widths[0]), initializer=glorot, name="item_kernel"
        )
        self.norms = [keras.layers.BatchNormalization(epsilon=_EPSILON) for _ in widths]
        self.dropouts = [keras.layers.Dropout(config.dropout, seed=seed + i) for i in range(9)]
        self.hidden = [
            keras.layers.Dense(width, use_bias=False, kernel_initializer=glorot)
            for width in widths[1:]
        ]
        self.output_kernel = self.add_weight(
            shape=(widths[-1], 1), initializer=keras.initializers.Zeros(), name="output_kernel"
        )
        self.rating_kernel = self.add_weight(
            shape=(widths[-1] + 4,), initializer=keras.initializers.Zeros(), name="rating_kernel"
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
        """Return the perceptron branch's track embeddings, shape (n, item_dim)."""
        return tf.gather(self.items, rows) + tf.gather(self.content, rows) @ self.item_projection

    def call(
        self, users: tf.Tensor, rows: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return logits and expected preferences of every listener for every track of `rows`.

        Args:
            users: listeners' vectors, shape (n_users, user_dim).
            rows: tracks, shape (n_rows,), the same for all, or (n_users,), one for each.
            training: whether dropout and batch statistics apply.

        Returns:
            Two tensors of shape (n_users, n_rows), or (n_users,) for one track each.
        """
        return self.score(users, rows, paired=False, training=training)

    def score(
        self, users: tf.Tensor, rows: tf.Tensor, *, paired: bool, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Score all pairs of `users` and `rows`, or (`paired`) each user's one row."""
        dim = self.factors.shape[1]
        own = users[:, :dim] * self.fusion
        factors = tf.gather(self.factors, rows)
        bias = tf.gather(self.item_bias + self.item_prior, rows)
        mean = tf.gather(self.item_mean, rows)
        user_half = users @ self.user_kernel
        item_half = self.item_inputs(rows) @ self.item_kernel
        if paired:
            factor = tf.reduce_sum(own * factors, axis=1) + bias
            hidden = user_half + item_half
            user_mean = users[:, -1]
        else:
            factor = tf.matmul(own, factors, transpose_b=True) + bias
            hidden = user_half[:, None, :] + item_half[None, :, :]
            hidden = tf.reshape(hidden, (-1, self.config.layers[0]))
            user_mean = users[:, -1:]
        hidden = self.dropouts[0](
            tf.nn.relu(self.norms[0](hidden, training=training)), training=training
        )
        for i, layer in enumerate(self.hidden, start=1):
            hidden = tf.nn.relu(self.norms[i](layer(hidden), training=training))
            hidden = self.dropouts[i](hidden, training=training)
        width = self.config.layers[-1]
        logits = factor + tf.reshape(hidden @ self.output_kernel, tf.shape(factor))
        to_factor, to_user, to_item, constant = tf.unstack(self.rating_kernel[width:])
        rating = tf.reshape(tf.linalg.matvec(hidden, self.rating_kernel[:width]), tf.shape(factor))
        rating += to_factor * factor + to_user * user_mean + to_item * mean + constant
        return logits, tf.sigmoid(rating)

    def export(self, fold_in: FoldIn, mean_preference: float) -> NeuMF:
        """Return the network as arrays, batch normalization folded in."""
        everything = tf.range(self.factors.shape[0])
        gain, shift = _affine(self.norms[0])
        item_half = (self.item_inputs(everything) @ self.item_kernel).numpy()
        layers = []
        for layer, norm in zip(self.hidden, self.norms[1:], strict=True):
            scale, offset = _affine(norm)
            layers.append((layer.kernel.numpy() * scale, offset))
        histories = self.histories + self.content @ self.history_projection
        return NeuMF(
            fold_in=fold_in,
            fusion=self.fusion.numpy(),
            item_bias=(self.item_bias + self.item_prior).numpy(),
            history_embeddings=np.asarray(histories),
            user_hidden=self.user_kernel.numpy() * gain,
            item_hidden=item_half * gain + shift,
            layers=tuple(layers),
            output=self.output_kernel.numpy()[:, 0],
            rating=self.rating_kernel.numpy(),
            item_mean=self.item_mean.numpy(),
            mean_preference=mean_preference,
        )


def _affine(norm: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """Return the trained normalization as gain and shift."""
    gain = norm.gamma.numpy() / np.sqrt(norm.moving_variance.numpy() + _EPSILON)
    return gain, norm.beta.numpy() - norm.moving_mean.numpy() * gain
