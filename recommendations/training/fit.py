"""One whole training: from interactions and content to a model that can be served.

Stages, each reported through `progress`:

1. a validation slice is split off;
2. the factorization branch and the item-to-item model choose their penalties on it;
3. the network is trained with early stopping on it;
4. blend, rating and confidence are fitted to it;
5. closed-form parts are computed again from all data, and the network trained on it for as many
   epochs as were best.

Nothing here knows Django; TensorFlow enters through `network` alone.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace

import keras
import numpy as np
from scipy import sparse

from recommendations.core.arrays import Floats, SparseRows
from recommendations.core.calibration import Calibration, within_one_star
from recommendations.core.candidates import CandidateIndex
from recommendations.core.content import ContentFeatures
from recommendations.core.ensemble import COMPONENTS, Blend
from recommendations.core.fold_in import affinity
from recommendations.core.interactions import Interactions, split_validation
from recommendations.core.item_similarity import (
    SimilarityConfig,
    affinity_matrix,
    item_weights,
    shrunk_popularity,
)
from recommendations.core.metrics import (
    mean_absolute_error,
    reliability_curve,
    root_mean_squared_error,
)
from recommendations.core.neumf import PRIOR_RESPONSES, NeuMF
from recommendations.core.serving_model import EXACT_LIMIT, ServingModel
from recommendations.training.batches import BatchConfig
from recommendations.training.factorization import (
    Factorization,
    FactorizationConfig,
    factorize,
)
from recommendations.training.network import Network, NetworkConfig
from recommendations.training.network_training import OptimizerConfig, Progress, train_network
from recommendations.training.validation import ValidationSlice


@dataclass(frozen=True)
class FitConfig:
    """Settings of a training; the defaults serve every data set.

    Attributes:
        factorization: settings whose penalties are chosen from `factorization_grid`.
        factorization_grid: (unobserved_weight, regularization) tried on validation.
        similarity: settings whose penalties are chosen from `similarity_grid`.
        similarity_grid: (penalty, penalty_per_count) tried on validation.
        network: shape of the perceptron branch.
        batches: how training examples are drawn.
        optimizer: how the network is optimised.
        validation_per_user: pairs held out of each listener.
        validation_users: the most listeners that hold some out.
        newest: whether the newest pairs are held out where times are known.
    """

    factorization: FactorizationConfig = field(default_factory=FactorizationConfig)
    factorization_grid: tuple[tuple[float, float], ...] = (
        (0.1, 0.003),
        (0.1, 0.01),
        (0.03, 0.01),
    )
    similarity: SimilarityConfig = field(default_factory=SimilarityConfig)
    similarity_grid: tuple[tuple[float, float], ...] = ((500.0, 0.0), (30.0, 2.3), (60.0, 1.0))
    network: NetworkConfig = field(default_factory=NetworkConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    validation_per_user: int = 1
    validation_users: int = 6000
    newest: bool = True


@dataclass(frozen=True, eq=False)
class FittedModel:
    """What a training returns.

    Attributes:
        model: ready to serve or to save; its `metadata` repeats what follows.
        metrics: validation metrics by name.
        n_parameters: number of learned parameters of the neural collaborative filter.
        seconds: wall time of each stage.
    """

    model: ServingModel
    metrics: dict[str, float]
    n_parameters: int
    seconds: dict[str, float] = field(default_factory=dict)


def fit(
    interactions: Interactions,
    content: ContentFeatures,
    *,
    config: FitConfig = FitConfig(),
    seed: int = 0,
    track_ids: np.ndarray | None = None,
    progress: Progress = lambda report: None,
) -> FittedModel:
    """Train everything that a model serves.

    Args:
        interactions: what listeners did.
        content: of the same catalogue.
        config: settings.
        seed: of every random choice.
        track_ids: database id of each track row; the row itself where not given.
        progress: called with a report (`stage`, and as they apply `epoch`, `loss`, `validation`,
            `seconds`) after each epoch or stage.

    Raises:
        ValueError: no interactions, or content of another catalogue.
    """
    if not len(interactions):
        raise ValueError("training needs at least one interaction, got none")
    if content.n_tracks != interactions.n_tracks:
        raise ValueError(
            f"content of {content.n_tracks} tracks, interactions of {interactions.n_tracks}"
        )
    keras.utils.set_random_seed(seed)
    clock = _Clock(progress)
    features = _sparse_content(content)
    rng = np.random.default_rng(seed)
    train, held_out = split_validation(
        interactions,
        rng=rng,
        per_user=config.validation_per_user,
        max_users=config.validation_users,
        newest=config.newest,
    )
    validation = ValidationSlice.of(train, held_out)

    factorization, factor_score = _choose_factorization(
        train, features, validation, config, seed, progress
    )
    clock.stage("factorization", validation=factor_score)
    similarity_config, similarity, similarity_score = _choose_similarity(
        train, validation, config, progress
    )
    clock.stage("item_to_item", validation=similarity_score)

    mean_preference = float(np.average(train.preference, weights=train.weight))
    network = _new_network(factorization, features, train, config, seed)
    learned, n_epochs = train_network(
        network,
        train.by_user(),
        factorization.fold_in(),
        mean_preference,
        batch_config=config.batches,
        config=config.optimizer,
        seed=seed,
        score=lambda net: validation.ndcg(lambda r, p: net.scores(net.user_vector(r, p))),
        progress=progress,
    )
    clock.stage("network")

    draft = _assemble(learned, similarity, content, factorization, train, track_ids)
    blend, blend_score = _fit_blend(draft, validation)
    draft = replace(draft, blend=blend)
    clock.stage("blend", validation=blend_score)
    calibration, metrics = _fit_calibration(draft, train, held_out, rng)
    metrics["ndcg@20_neural_cf"] = validation.ndcg(
        lambda r, p: learned.scores(learned.user_vector(r, p))
    )
    metrics["ndcg@20_hybrid_ensemble"] = blend_score
    metrics["ndcg@20_item_to_item"] = similarity_score
    clock.stage("calibration")

    full, full_network, n_parameters = _refit(
        interactions, features, factorization, config, seed, n_epochs, mean_preference, progress
    )
    similarity = item_weights(_affinities(interactions), similarity_config)
    clock.stage("refit")
    model = replace(
        _assemble(full_network, similarity, content, full, interactions, track_ids),
        blend=blend,
        calibration=calibration,
    )
    metadata = {
        "n_parameters": n_parameters,
        "n_users": interactions.n_users,
        "n_tracks": interactions.n_tracks,
        "n_interactions": len(interactions),
        "ratings": "explicit" if interactions.has_ratings else "1 + 4 * preference",
        "seed": seed,
        "config": asdict(config),
        "chosen": {
            "factorization": asdict(factorization.config),
            "item_to_item": asdict(similarity_config),
            "epochs": n_epochs,
        },
        "metrics": metrics,
        "seconds": dict(clock.seconds),
    }
    return FittedModel(
        replace(model, metadata=metadata), metrics, n_parameters, dict(clock.seconds)
    )


class _Clock:
    """Measures stages and reports their ends."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self.began = time.monotonic()

    def stage(self, name: str, **values: float) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self.began, 2)
        self.began = now
        self.progress({"stage": name, "seconds": self.seconds[name], **values})


def _choose_factorization(
    train: Interactions,
    features: sparse.csr_matrix,
    validation: ValidationSlice,
    config: FitConfig,
    seed: int,
    progress: Progress,
) -> tuple[Factorization, float]:
    best, best_score = None, -1.0
    for unobserved_weight, regularization in config.factorization_grid:
        candidate = factorize(
            train,
            features,
            config=replace(
                config.factorization,
                unobserved_weight=unobserved_weight,
                regularization=regularization,
            ),
            rng=np.random.default_rng(seed),
        )
        fold_in = candidate.fold_in()
        score = validation.ndcg(lambda r, p, f=fold_in: f.embeddings @ f.embedding(r, p))
        progress(
            {
                "stage": "factorization",
                "unobserved_weight": unobserved_weight,
                "regularization": regularization,
                "validation": score,
            }
        )
        if score > best_score:
            best, best_score = candidate, score
    assert best is not None  # noqa: S101 (the grid is never empty)
    return best, best_score


def _choose_similarity(
    train: Interactions, validation: ValidationSlice, config: FitConfig, progress: Progress
) -> tuple[SimilarityConfig, SparseRows, float]:
    best, best_score = None, -1.0
    matrix = _affinities(train)
    for penalty, per_count in config.similarity_grid:
        settings = replace(config.similarity, penalty=penalty, penalty_per_count=per_count)
        weights = item_weights(matrix, settings)
        score = validation.ndcg(lambda r, p, w=weights: w.weighted_sum(r, affinity(p)).dense())
        progress(
            {
                "stage": "item_to_item",
                "penalty": penalty,
                "penalty_per_count": per_count,
                "validation": score,
            }
        )
        if score > best_score:
            best, best_score = (settings, weights), score
    assert best is not None  # noqa: S101 (the grid is never empty)
    return *best, best_score


def _new_network(
    factorization: Factorization,
    features: sparse.csr_matrix,
    train: Interactions,
    config: FitConfig,
    seed: int,
) -> Network:
    return Network(
        factorization.fold_in(),
        features,
        _item_means(train),
        config.network,
        seed,
    )


def _refit(
    interactions: Interactions,
    features: sparse.csr_matrix,
    start: Factorization,
    config: FitConfig,
    seed: int,
    n_epochs: int,
    mean_preference: float,
    progress: Progress,
) -> tuple[Factorization, NeuMF, int]:
    """Train factorization and network again, on everything, and count their parameters."""
    full = factorize(
        interactions,
        features,
        config=start.config,
        rng=np.random.default_rng(seed),
    )
    network = _new_network(full, features, interactions, config, seed)
    learned, _ = train_network(
        network,
        interactions.by_user(),
        full.fold_in(),
        mean_preference,
        batch_config=config.batches,
        config=config.optimizer,
        seed=seed,
        score=None,
        n_epochs=n_epochs,
        progress=lambda report: progress({**report, "stage": "refit"}),
    )
    branch = full.users.size + full.tracks.size + full.projection.size
    return full, learned, branch + network.count_params()


def _assemble(
    network: NeuMF,
    similarity: SparseRows,
    content: ContentFeatures,
    factorization: Factorization,
    interactions: Interactions,
    track_ids: np.ndarray | None,
) -> ServingModel:
    counts = interactions.track_counts()
    index = None
    if network.n_tracks > EXACT_LIMIT:
        sample = _listener_factors(network, interactions)
        index = CandidateIndex.build(network.item_factors, network.item_bias, sample)
        network = network.halved()
    ids = np.arange(interactions.n_tracks) if track_ids is None else np.asarray(track_ids)
    return ServingModel(
        track_ids=ids.astype(np.int64),
        network=network,
        similarity=similarity,
        content=content,
        content_projection=factorization.projection,
        popularity=shrunk_popularity(counts, interactions.n_users).astype(np.float32),
        track_counts=counts.astype(np.float32),
        blend=Blend(),
        calibration=Calibration.none(),
        index=index,
    )


def _listener_factors(network: NeuMF, interactions: Interactions) -> Floats:
    """Return some listeners' side of the factorization branch, shape (n, dim + history_dim)."""
    histories = interactions.by_user()
    active = np.flatnonzero(np.diff(histories.starts))[:2000]
    return np.stack(
        [network.weighted_factors(network.user_vector(*histories.of(user))) for user in active]
    )


def _fit_blend(model: ServingModel, validation: ValidationSlice) -> tuple[Blend, float]:
    """Choose the weights by coordinate search on validation NDCG, from an even start."""

    def score(weights: dict[str, float]) -> float:
        trial = replace(model, blend=Blend(**weights))
        return validation.ndcg(lambda r, p: trial.hybrid_scores(trial.listener(r, p)))

    best = {"neural": 1.0, "item_to_item": 1.0, "content": 0.0, "popularity": 0.0}
    best_score = score(best)
    for name in COMPONENTS[1:]:
        for factor in (0.0, 0.5, 2.0) if name == "item_to_item" else (-0.1, 0.1, 0.3):
            trial = {**best, name: factor}
            value = score(trial)
            if value > best_score:
                best, best_score = trial, value
    return Blend(**best), best_score


def _fit_calibration(
    model: ServingModel, train: Interactions, held_out: Interactions, rng: np.random.Generator
) -> tuple[Calibration, dict[str, float]]:
    """Fit on held-out responses; metrics come from halves that the fit did not see."""
    histories = train.by_user()
    order = np.argsort(held_out.user_rows, kind="stable")
    responses = held_out.take(order)
    ratings = np.where(
        np.isnan(responses.rating), 1 + 4 * responses.preference, responses.rating
    ).astype(np.float32)
    if train.has_ratings:
        keep = ~np.isnan(responses.rating)
        responses, ratings = responses.take(keep), ratings[keep]
    predicted = np.empty(len(responses), np.float32)
    n_responses = np.empty(len(responses), np.float32)
    for user in np.unique(responses.user_rows):
        mine = np.flatnonzero(responses.user_rows == user)
        rows, preferences = histories.of(user)
        vector = model.fold_in(rows, preferences)
        predicted[mine] = model.network.preferences(vector, responses.track_rows[mine])
        n_responses[mine] = len(rows)
    counts = model.track_counts[responses.track_rows]
    half = rng.random(len(responses)) < 0.5
    stated = np.empty(len(responses))
    expected = np.empty(len(responses))
    for fitted, judged in ((half, ~half), (~half, half)):
        part = Calibration.fit(
            predicted[fitted], ratings[fitted], n_responses[fitted], counts[fitted]
        )
        expected[judged] = part.expected_rating(predicted[judged])
        features_of = part.confidence_of(
            expected[judged].astype(np.float32), n_responses[judged], counts[judged]
        )
        stated[judged] = features_of
    curve = reliability_curve(stated, within_one_star(expected, ratings))
    metrics = {
        "mae": mean_absolute_error(expected, ratings) / 4,
        "rmse": root_mean_squared_error(expected, ratings) / 4,
        "expected_calibration_error": curve.expected_calibration_error,
    }
    return Calibration.fit(predicted, ratings, n_responses, counts), metrics


def _affinities(interactions: Interactions) -> sparse.csr_matrix:
    return affinity_matrix(
        interactions.user_rows,
        interactions.track_rows,
        affinity(interactions.preference),
        (interactions.n_users, interactions.n_tracks),
    )


def _item_means(interactions: Interactions) -> Floats:
    mean = float(np.average(interactions.preference, weights=interactions.weight))
    sums = np.bincount(
        interactions.track_rows, interactions.preference, minlength=interactions.n_tracks
    )
    counts = interactions.track_counts()
    return ((sums + PRIOR_RESPONSES * mean) / (counts + PRIOR_RESPONSES)).astype(np.float32)


def _sparse_content(content: ContentFeatures) -> sparse.csr_matrix:
    genres = sparse.csr_matrix(
        (content.genres.values.astype(np.float32), content.genres.columns, content.genres.starts),
        shape=(content.n_tracks, len(content.genre_names)),
    )
    return sparse.hstack([genres, sparse.csr_matrix(content.audio)], format="csr")
