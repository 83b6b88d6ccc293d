"""Small models made of random arrays, for tests that need the shape and not the learning."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recommendations.core.calibration import Calibration, MonotoneCurve
from recommendations.core.candidates import CandidateIndex
from recommendations.core.content import AUDIO_FEATURES, ContentFeatures
from recommendations.core.ensemble import Blend
from recommendations.core.fold_in import FoldIn
from recommendations.core.item_similarity import SimilarityConfig, item_weights
from recommendations.core.neumf import NeuMF
from recommendations.core.serving_model import ServingModel

GENRES = ("ambient", "jazz", "pop", "rock")


def make_network(n_tracks=12, dim=4, history_dim=3, hidden=5, seed=0) -> NeuMF:
    """Return a network with random weights."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    factors = draw(n_tracks, dim + history_dim)
    embeddings = factors[:, :dim]
    return NeuMF(
        item_factors=factors,
        fold_in=FoldIn(embeddings, embeddings.T @ embeddings, draw(dim), 0.1, 0.01),
        fusion=np.ones(dim + history_dim, np.float32),
        item_bias=draw(n_tracks),
        history_embeddings=draw(n_tracks, history_dim),
        user_hidden=draw(dim + history_dim + 2, hidden),
        item_hidden=draw(n_tracks, hidden),
        layers=((draw(hidden, 4), draw(4)),),
        output=draw(4),
        rating=draw(8),
        rating_blend=np.array([1, 0.5, 0.1], np.float32),
        item_mean=rng.random(n_tracks).astype(np.float32),
        mean_preference=0.6,
    )


def make_model(n_tracks=12, seed=0, *, indexed=False) -> ServingModel:
    """Return a model that serves, with random weights and content."""
    rng = np.random.default_rng(seed)
    network = make_network(n_tracks, seed=seed)
    share = min(0.2, 200 / n_tracks)  # of tracks heard; pairs grow with its square
    heard = sparse.csr_matrix((rng.random((40, n_tracks)) < share).astype(np.float32))
    counts = np.asarray(heard.sum(axis=0)).ravel().astype(np.float32)
    genres = [[GENRES[i % 4], GENRES[(i // 3) % 4]] for i in range(n_tracks)]
    content = ContentFeatures.build(genres, rng.random((n_tracks, len(AUDIO_FEATURES))))
    rising = np.linspace(0, 1, 5).astype(np.float32)
    listeners = rng.normal(size=(50, network.item_factors.shape[1])).astype(np.float32)
    return ServingModel(
        track_ids=np.arange(n_tracks, dtype=np.int64) + 100,
        network=network,
        similarity=item_weights(heard, SimilarityConfig(penalty=5)),
        content=content,
        content_projection=rng.normal(size=(content.n_features, 4)).astype(np.float32),
        popularity=np.log1p(counts),
        track_counts=counts,
        blend=Blend(content=0.1, popularity=0.1),
        calibration=Calibration(
            MonotoneCurve(rising, 1 + 4 * rising),
            rng.normal(0, 0.1, 5).astype(np.float32),
            MonotoneCurve(rising, 0.4 + 0.5 * rising),
        ),
        index=(
            CandidateIndex.build(network.item_factors, network.item_bias, listeners)
            if indexed
            else None
        ),
        metadata={"metrics": {"ndcg@20": 0.1}, "seed": seed},
    )
