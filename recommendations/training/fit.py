"""One whole training: from interactions and content to a model that can be served.

Stages, each reported through `progress`:

1. a validation slice is split off;
2. the factorization branch and the item-to-item model choose their penalties on it;
3. the network is trained with early stopping on it;
4. the blend, the expected rating and the confidence are fitted to it;
5. everything is trained again on all data, with what was chosen.

Nothing here knows Django; TensorFlow enters through `network` and `batches` alone.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace

import keras
import numpy as np
from scipy import sparse

from recommendations.core.arrays import Floats, SparseRows
from recommendations.core.calibration import Calibration
from recommendations.core.candidates import CandidateIndex
from recommendations.core.content import ContentFeatures
from recommendations.core.ensemble import Blend
from recommendations.core.interactions import Interactions, split_validation
from recommendations.core.item_similarity import SimilarityConfig, item_weights, log_popularity
from recommendations.core.neumf import PRIOR_RESPONSES, NeuMF
from recommendations.core.serving_model import (
    EXACT_LIMIT,
    N_CANDIDATES,
    SCAN_LIMIT,
    ServingModel,
)
from recommendations.training.batches import BatchConfig
from recommendations.training.factorization import (
    Factorization,
    FactorizationConfig,
    factorize,
)
from recommendations.training.network import Network, NetworkConfig
from recommendations.training.network_training import (
    OptimizerConfig,
    TrainedNetwork,
    train_network,
)
from recommendations.training.scores import calibrate
from recommendations.training.selection import (
    MAX_USERS,
    Progress,
    SelectionConfig,
    affinities_of,
    choose_blend,
    choose_factorization,
    choose_similarity,
)
from recommendations.training.validation import ValidationSlice

RECALL_AT = 100
"""Length of the list whose tracks an approximate index should find."""

RECALL_USERS = 50
"""Listeners on whom that is measured; the whole catalogue is scored for each."""


@dataclass(frozen=True)
class FitConfig:
    """Settings of a training; the defaults serve every data set.

    Attributes:
        factorization: settings but for the penalties, which are chosen.
        similarity: settings but for the penalties, which are chosen.
        network: shape and regularization of the network.
        batches: how training examples are drawn.
        optimizer: how the network is optimised.
        selection: what is tried on validation.
        validation_pairs: about how many pairs are held out, at least one of each listener who
            has three and at most ten.
        refit_share: share of the pairs that validation may hold out before factorization and
            network are trained once more on everything, and a large item-to-item model too.
            Below it a second training would cost as much as the first and add next to nothing:
            listeners are folded in from their whole histories all the same.
        newest: whether the newest pairs are held out where times are known.
    """

    factorization: FactorizationConfig = field(default_factory=FactorizationConfig)
    similarity: SimilarityConfig = field(default_factory=SimilarityConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    validation_pairs: int = 6000
    refit_share: float = 0.04
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
    seconds: dict[str, float]


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
        progress: called with a report (`stage`, and as they apply `epoch`, `epochs`, `loss`,
            `validation`, `seconds`) after each trial, epoch and stage.

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
    features = _sparse(content)
    rng = np.random.default_rng(seed)
    train, held_out = split_validation(
        interactions,
        rng=rng,
        per_user=int(np.clip(config.validation_pairs // interactions.n_users, 1, 10)),
        max_users=config.validation_pairs,
        newest=config.newest,
    )
    validation = ValidationSlice.of(train, held_out)
    clock.stage("split")
    factorization = choose_factorization(
        train,
        features,
        validation,
        base=config.factorization,
        grid=config.selection.factorization,
        seed=seed,
        progress=progress,
    )
    clock.stage("factorization")
    similarity_config, similarity = choose_similarity(
        train,
        validation,
        base=config.similarity,
        selection=config.selection,
        progress=progress,
    )
    clock.stage("item_to_item")
    learned, network_size = _train_network(
        factorization, features, train, config, seed, progress, validation=validation
    )
    clock.stage("network")
    draft = _assemble(learned.network, similarity, content, factorization, train)
    blend, metrics = choose_blend(draft, validation, config.selection.blend)
    clock.stage("blend", **metrics)
    honest = calibrate(draft, train, held_out, rng)
    clock.stage("calibration", **honest.metrics)

    full, trained = factorization, learned
    affinities = affinities_of(interactions)
    held_out_many = len(held_out) > config.refit_share * len(interactions)
    if held_out_many:
        full = factorize(
            interactions, features, config=factorization.config, rng=np.random.default_rng(seed)
        )
        trained, network_size = _train_network(
            full, features, interactions, config, seed, progress, like=learned
        )
    if held_out_many or min(affinities.shape) <= config.selection.item_to_item_tracks:
        similarity = item_weights(affinities, similarity_config)
    model = _assemble(
        replace(trained.network, rating_blend=honest.rating_blend),
        similarity,
        content,
        full,
        interactions,
        track_ids,
    )
    recalls: dict[str, float] = {}
    if model.n_tracks > EXACT_LIMIT:
        model = _indexed(model, interactions)
        recalls = _recalls(model, interactions)
    clock.stage("refit", **recalls)
    n_parameters = full.users.size + full.tracks.size + full.projection.size + network_size
    metrics = {**metrics, **honest.metrics, **recalls}
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
            "epochs": learned.epochs,
            "fusion_weight": learned.fusion_weight,
            "blend": asdict(blend),
        },
        "metrics": metrics,
        "reliability": asdict(honest.curve),
        "seconds": dict(clock.seconds),
    }
    model = replace(model, blend=blend, calibration=honest.calibration, metadata=metadata)
    return FittedModel(model, metrics, n_parameters, dict(clock.seconds))


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


def _train_network(
    factorization: Factorization,
    features: sparse.csr_matrix,
    interactions: Interactions,
    config: FitConfig,
    seed: int,
    progress: Progress,
    *,
    validation: ValidationSlice | None = None,
    like: TrainedNetwork | None = None,
) -> tuple[TrainedNetwork, int]:
    """Return a network trained from scratch, and its number of parameters."""
    counts = interactions.track_counts()
    mean = float(np.average(interactions.preference, weights=interactions.weight))
    sums = np.bincount(
        interactions.track_rows, interactions.preference, minlength=interactions.n_tracks
    )
    network = Network(
        factorization.fold_in(),
        features,
        item_mean=(sums + PRIOR_RESPONSES * mean) / (counts + PRIOR_RESPONSES),
        config=config.network,
        seed=seed,
    )
    trained = train_network(
        network,
        interactions.by_user(),
        factorization.fold_in(),
        mean,
        batch_config=config.batches,
        config=config.optimizer,
        seed=seed,
        validation=None if validation is None else validation.of_at_most(MAX_USERS),
        like=like,
        progress=progress,
    )
    return trained, network.count_params()


def _assemble(
    network: NeuMF,
    similarity: SparseRows,
    content: ContentFeatures,
    factorization: Factorization,
    interactions: Interactions,
    track_ids: np.ndarray | None = None,
) -> ServingModel:
    """Return the parts as one model, not blended or calibrated yet."""
    counts = interactions.track_counts()
    ids = np.arange(interactions.n_tracks) if track_ids is None else np.asarray(track_ids)
    return ServingModel(
        track_ids=ids.astype(np.int64),
        network=network,
        similarity=similarity,
        content=content,
        content_projection=factorization.projection,
        popularity=log_popularity(counts, interactions.n_users),
        track_counts=counts.astype(np.float32),
        blend=Blend(),
        calibration=Calibration.none(),
    )


def _indexed(model: ServingModel, interactions: Interactions) -> ServingModel:
    """Return a model with too many tracks to score them all as it serves: indexed, halved."""
    network = model.network
    index = CandidateIndex.build(
        network.item_factors, network.item_bias, _listener_factors(network, interactions)
    )
    if model.n_tracks > SCAN_LIMIT:
        index = index.with_cells(np.random.default_rng(0))
    return replace(
        model, network=network.halved(), similarity=model.similarity.halved(), index=index
    )


def _recalls(model: ServingModel, interactions: Interactions) -> dict[str, float]:
    """Return what an index misses, on some listeners: recall@100 (of all, in a small catalogue).

    `first_stage_recall@100` is the share of the network's best tracks that the candidates hold;
    `cells_recall@100`, where only some cells are looked at, that of the scan's best.
    """
    if model.index is None:
        return {}
    k = min(RECALL_AT, model.n_tracks)
    histories = interactions.by_user()
    active = np.flatnonzero(np.diff(histories.starts))
    some = active[np.linspace(0, len(active) - 1, min(len(active), RECALL_USERS)).astype(int)]
    listeners = [model.listener(*histories.of(int(user))) for user in some]
    found = [model.recall_of_candidates(listener, k=k) for listener in listeners]
    recalls = {f"first_stage_recall@{RECALL_AT}": float(np.mean(found))}
    if model.index.cells is not None:
        factors = np.stack([model.network.weighted_factors(each.user_vector) for each in listeners])
        recalls[f"cells_recall@{RECALL_AT}"] = model.index.recall(factors, k=k, n=N_CANDIDATES)
    return recalls


def _listener_factors(network: NeuMF, interactions: Interactions) -> Floats:
    """Return some listeners' side of the factorization branch, shape (n, dim + history_dim)."""
    histories = interactions.by_user()
    active = np.flatnonzero(np.diff(histories.starts))[:MAX_USERS]
    return np.stack(
        [network.weighted_factors(network.user_vector(*histories.of(user))) for user in active]
    )


def _sparse(content: ContentFeatures) -> sparse.csr_matrix:
    genres = sparse.csr_matrix(
        (content.genres.values.astype(np.float32), content.genres.columns, content.genres.starts),
        shape=(content.n_tracks, len(content.genre_names)),
    )
    return sparse.hstack([genres, sparse.csr_matrix(content.audio)], format="csr")
