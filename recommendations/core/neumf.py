"""The forward pass of neural collaborative filtering (NeuMF, He et al., WWW 2017) in numpy.

Training exports its arrays; this module scores with them, equal to the Keras network to 1e-5.
Three things make one listener against the whole catalogue cheap:

- the first layer of the perceptron acts on a concatenation, so it is a sum, W [u; v] = Wu u + Wv v,
  and the tracks' half is computed once, at export;
- batch normalization is an affine map once trained, and is folded into the layer before it;
- past `EXACT_LIMIT` tracks, the dot product of the factorization branch proposes candidates and the
  network scores those alone.

A listener is a vector of `user_dim` numbers with four parts, each a function of the history alone
(so a listener unseen in training has one): the folded-in embedding, the pooled embedding of the
history, log(1 + length of the history), and the mean preference shrunk towards the overall mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import AnyRows, Floats
from recommendations.core.fold_in import FoldIn

PRIOR_RESPONSES = 5.0
"""Shrinkage of a listener's or a track's mean preference, in responses."""

_CHUNK = 16384  # tracks scored at once: hidden activations then stay in the cache


@dataclass(frozen=True, eq=False)
class NeuMF:
    """A trained network, ready to score.

    Attributes:
        fold_in: the factorization branch's tracks and how to fold a listener in; its embeddings
            are also this branch's track vectors, shape (n_tracks, dim).
        fusion: weight of each factor in the fusion layer, shape (dim,).
        item_bias: fusion layer's constant for each track, shape (n_tracks,).
        history_embeddings: what each track in a history adds to the perceptron's input, shape
            (n_tracks, history_dim).
        user_hidden: first layer's weights for the listener, shape (user_dim, hidden).
        item_hidden: first layer's pre-activation for each track, bias and batch normalization
            folded in, shape (n_tracks, hidden).
        layers: further layers as (weights, bias), each followed by a ReLU.
        output: fusion layer's weights for the last hidden layer.
        rating: weights of the rating head: last hidden layer, then (factorization score,
            listener's mean, track's mean), then a constant.
        item_mean: each track's shrunk mean preference, shape (n_tracks,).
        mean_preference: overall mean preference.
    """

    fold_in: FoldIn
    fusion: Floats
    item_factors: Floats
    item_bias: Floats
    history_embeddings: Floats
    user_hidden: Floats
    item_hidden: Floats
    layers: tuple[tuple[Floats, Floats], ...]
    output: Floats
    rating: Floats
    item_mean: Floats
    mean_preference: float

    @property
    def n_tracks(self) -> int:
        """Number of tracks."""
        return len(self.item_bias)

    @property
    def user_dim(self) -> int:
        """Length of a listener's vector."""
        return len(self.user_hidden)

    def user_vector(
        self,
        track_rows: AnyRows,
        preferences: NDArray[np.floating],
        *,
        prior_mean: Floats | None = None,
    ) -> Floats:
        """Return the vector of a listener with this history, shape (user_dim,)."""
        preferences = np.asarray(preferences, np.float32)
        embedding = self.fold_in.embedding(track_rows, preferences, prior_mean=prior_mean)
        n = len(track_rows)
        pooled = pooling_weights(preferences) @ self.history_embeddings[track_rows]
        mean = (preferences.sum() + PRIOR_RESPONSES * self.mean_preference) / (n + PRIOR_RESPONSES)
        activity = np.array([np.log1p(n), mean], np.float32)
        return np.concatenate([embedding, pooled.astype(np.float32), activity])

    def factor_scores(self, user_vector: Floats, rows: AnyRows | None = None) -> Floats:
        """Return the factorization branch's part of the logit (a dot product) per track."""
        weighted = user_vector[: len(self.fusion)] * self.fusion
        factors, bias = self.item_factors, self.item_bias
        if rows is None:
            return factors @ weighted + bias
        return factors[rows] @ weighted + bias[rows]

    def scores(self, user_vector: Floats, rows: AnyRows | None = None) -> Floats:
        """Return the network's logit for each track, or for each of `rows`."""
        return self._forward(user_vector, rows)[0]

    def scores_and_preferences(
        self, user_vector: Floats, rows: AnyRows | None = None
    ) -> tuple[Floats, Floats]:
        """Return logits and the rating head's expected preferences, in [0, 1] (uncalibrated)."""
        return self._forward(user_vector, rows)

    def _forward(self, user_vector: Floats, rows: AnyRows | None) -> tuple[Floats, Floats]:
        factor = self.factor_scores(user_vector, rows)
        hidden_of_user = user_vector @ self.user_hidden
        logits = np.empty_like(factor)
        ratings = np.empty_like(factor)
        width = len(self.output)
        for begin in range(0, len(factor), _CHUNK):
            here = slice(begin, begin + _CHUNK)
            item = self.item_hidden[here] if rows is None else self.item_hidden[rows[here]]
            hidden = np.maximum(item + hidden_of_user, 0)
            for weights, bias in self.layers:
                hidden = hidden @ weights
                hidden += bias
                np.maximum(hidden, 0, out=hidden)
            logits[here] = factor[here] + hidden @ self.output
            ratings[here] = hidden @ self.rating[:width]
        to_factor, to_user, to_item, constant = self.rating[width:]
        mean_of_item = self.item_mean if rows is None else self.item_mean[rows]
        ratings += to_factor * factor + to_item * mean_of_item
        ratings += to_user * user_vector[-1] + constant
        return logits, (1 / (1 + np.exp(-ratings))).astype(np.float32)


def pooling_weights(preferences: NDArray[np.floating]) -> Floats:
    """Return each history track's weight in the pooled embedding: liked ones up, rejected down.

    Divided by the square root of the history's length (as SVD++ does, Koren, KDD 2008), so that
    the sum of independent embeddings keeps its scale.
    """
    signed = 1.5 * np.asarray(preferences, np.float32) - 0.5
    return (signed / np.sqrt(max(len(signed), 1))).astype(np.float32)
