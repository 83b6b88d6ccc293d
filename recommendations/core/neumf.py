"""The forward pass of neural collaborative filtering (NeuMF, He et al., WWW 2017) in numpy.

Training exports its arrays; this module scores with them, equal to the Keras network to 1e-5.
Two things make one listener against the whole catalogue cheap:

- the first layer of the perceptron acts on a concatenation, so it is a sum, W [u; v] = Wu u + Wv v,
  and the tracks' half is computed once, at export;
- batch normalization is an affine map once trained, and is folded into the layer before it.

A listener is a vector of `user_dim` numbers with four parts, each a function of the history alone,
so that a listener unseen in training has one: the folded-in embedding (`dim` numbers), the pooled
embedding of the history (`history_dim`), log(1 + length of the history), and the mean preference
shrunk towards the overall mean.  The first two meet the track's factors in the factorization
branch, all four enter the perceptron.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import AnyRows, Floats, Table
from recommendations.core.fold_in import FoldIn, affinity

PRIOR_RESPONSES = 5.0
"""Shrinkage of a listener's or a track's mean preference, in responses."""

_CHUNK = 8192  # tracks scored at once, so that hidden activations stay in the cache


@dataclass(frozen=True, eq=False)
class NeuMF:
    """A trained network, ready to score.

    Attributes:
        item_factors: the tracks' side of the factorization branch, shape
            (n_tracks, dim + history_dim): those that meet the folded-in embedding, then those that
            meet the pooled history.
        fold_in: how a listener's embedding is found, by pre-trained track embeddings of its own,
            shape (n_tracks, dim), from which the first `dim` factors were learned.
        fusion: weight of each factor in the fusion layer, shape (dim + history_dim,).
        item_bias: fusion layer's constant for each track, shape (n_tracks,).
        history_embeddings: what each track in a history adds to the pooled embedding, shape
            (n_tracks, history_dim).
        user_hidden: first layer's weights for the listener, shape (user_dim, hidden).
        item_hidden: first layer's pre-activation for each track, bias and batch normalization
            folded in, shape (n_tracks, hidden).
        layers: further layers as (weights, bias), each followed by a ReLU.
        output: fusion layer's weights for the last hidden layer.
        rating: weights of the rating head: last hidden layer, then (pooled history's dot
            product and bias, listener's mean, track's mean), then a constant.
        rating_blend: weights of `preference_features`, fitted to held-out responses, shape (3,).
        item_mean: each track's shrunk mean preference, shape (n_tracks,).
        mean_preference: overall mean preference.
    """

    item_factors: Table
    fold_in: FoldIn
    fusion: Floats
    item_bias: Floats
    history_embeddings: Table
    user_hidden: Floats
    item_hidden: Table
    layers: tuple[tuple[Floats, Floats], ...]
    output: Floats
    rating: Floats
    rating_blend: Floats
    item_mean: Floats
    mean_preference: float

    def halved(self) -> NeuMF:
        """Return the network with its tables in half precision, for catalogues too large to scan.

        Only rows that are gathered are ever converted back, so nothing is slower for it.
        """
        embeddings: Table = self.fold_in.embeddings.astype(np.float16)
        return replace(
            self,
            item_factors=self.item_factors.astype(np.float16),
            fold_in=replace(self.fold_in, embeddings=embeddings),
            history_embeddings=self.history_embeddings.astype(np.float16),
            item_hidden=self.item_hidden.astype(np.float16),
        )

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
        """Return the vector of a listener with this history, shape (user_dim,).

        Args:
            track_rows: tracks responded to, shape (n,).
            preferences: in [0, 1], shape (n,).
            prior_mean: embedding to start from, the average listener's where not given.
        """
        preferences = np.asarray(preferences, np.float32)
        embedding = self.fold_in.embedding(track_rows, preferences, prior_mean=prior_mean)
        pooled = pooling_weights(preferences) @ self.history_embeddings[track_rows].astype(
            np.float32
        )
        activity = activity_of(preferences, self.mean_preference)
        return np.concatenate([embedding, pooled, activity]).astype(np.float32)

    def weighted_factors(self, user_vector: Floats) -> Floats:
        """Return the listener's side of the factorization branch, fusion weights applied."""
        weighted: Floats = user_vector[: len(self.fusion)] * self.fusion
        return weighted

    def factor_scores(self, user_vector: Floats, rows: AnyRows | None = None) -> Floats:
        """Return the factorization branch's part of the logit (a dot product) per track."""
        weighted = self.weighted_factors(user_vector)
        if rows is None:
            scores: Floats = self.item_factors.astype(np.float32, copy=False) @ weighted
            scores += self.item_bias
        else:
            scores = self.item_factors[rows].astype(np.float32) @ weighted + self.item_bias[rows]
        return scores

    def scores(self, user_vector: Floats, rows: AnyRows | None = None) -> Floats:
        """Return the network's logit for each track, or for each of `rows`."""
        scores = self.factor_scores(user_vector, rows)
        for here, hidden in self._last_hidden(user_vector, rows):
            scores[here] += hidden @ self.output
        return scores

    def preferences(self, user_vector: Floats, rows: AnyRows) -> Floats:
        """Return the expected preference for each of `rows`, in (0, 1).

        Uncalibrated; see `core.calibration`.
        """
        features = self.preference_features(user_vector, rows)
        logits = features @ self.rating_blend
        preferences: Floats = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return preferences

    def preference_features(self, user_vector: Floats, rows: AnyRows) -> Floats:
        """Return what the expected preference is made of, shape (n_rows, 3).

        The rating head's logit; the folded-in embedding's dot product, which was fitted to
        affinities and so knows liked from rejected; and 1.
        """
        *from_hidden, to_factor, to_user, to_item, constant = self.rating
        dim = len(self.fold_in.gram)
        factors = self.item_factors[rows].astype(np.float32)
        pooled = self.weighted_factors(user_vector)[dim:]
        logits = to_factor * (factors[:, dim:] @ pooled + self.item_bias[rows])
        logits += to_item * self.item_mean[rows] + to_user * user_vector[-1] + constant
        for here, hidden in self._last_hidden(user_vector, rows):
            logits[here] += hidden @ np.asarray(from_hidden, np.float32)
        folded = self.fold_in.embeddings[rows].astype(np.float32) @ user_vector[:dim]
        return np.stack([logits, folded, np.ones(len(rows))], axis=1).astype(np.float32)

    def contributions(
        self, track_rows: AnyRows, preferences: NDArray[np.floating], rows: AnyRows
    ) -> Floats:
        """Return what each history track adds to the factorization branch's part of some scores.

        Both parts of a listener's factors are sums over the history, so a column adds up to the
        track's score, less prior and constant.

        Args:
            track_rows: the history, shape (n,).
            preferences: in [0, 1], shape (n,).
            rows: tracks scored, shape (k,).

        Returns:
            shape (n, k).
        """
        dim = len(self.fold_in.gram)
        factors = self.item_factors[rows].astype(np.float32) * self.fusion
        folded = self.fold_in.contributions(track_rows, preferences, factors[:, :dim])
        pooled = self.history_embeddings[track_rows].astype(np.float32) @ factors[:, dim:].T
        return (folded + pooled * pooling_weights(preferences)[:, None]).astype(np.float32)

    def _last_hidden(
        self, user_vector: Floats, rows: AnyRows | None
    ) -> Iterator[tuple[slice, Floats]]:
        """Yield the last hidden layer in chunks of tracks, each with its place."""
        hidden_of_user = user_vector @ self.user_hidden
        n = self.n_tracks if rows is None else len(rows)
        for begin in range(0, n, _CHUNK):
            here = slice(begin, min(begin + _CHUNK, n))
            item = self.item_hidden[here if rows is None else rows[here]]
            hidden = np.add(item, hidden_of_user, dtype=np.float32)
            np.maximum(hidden, 0, out=hidden)
            for weights, bias in self.layers:
                hidden = hidden @ weights
                hidden += bias
                np.maximum(hidden, 0, out=hidden)
            yield here, hidden


def pooling_weights(preferences: NDArray[np.floating]) -> Floats:
    """Return each history track's weight in the pooled embedding: its affinity, scaled.

    Divided by the square root of the history's length (as SVD++ does, Koren, KDD 2008), so that
    a sum of independent embeddings keeps its scale.
    """
    signed = affinity(preferences)
    return (signed / np.float32(np.sqrt(max(len(signed), 1)))).astype(np.float32)


def activity_of(preferences: NDArray[np.floating], mean_preference: float) -> Floats:
    """Return log(1 + number of responses) and their shrunk mean preference, shape (2,)."""
    n = len(preferences)
    mean = (preferences.sum() + PRIOR_RESPONSES * mean_preference) / (n + PRIOR_RESPONSES)
    return np.array([np.log1p(n), mean], np.float32)
