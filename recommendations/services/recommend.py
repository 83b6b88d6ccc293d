"""Answering a request for recommendations, and writing down what was shown and why."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accounts.models import Listener
from experiments.services import Route, Standing
from recommendations.core.arrays import Floats
from recommendations.core.rules import Slate
from recommendations.models import Recommendation, Taste
from recommendations.services import policy as policies
from recommendations.services import taste as tastes
from recommendations.services.ledger import Shown, write_down
from recommendations.services.policy import PolicyDecision
from recommendations.services.ranking import rank, set_scene
from recommendations.services.taste import Known
from recommendations.services.wishes import Wishes
from recommendations.serving import state
from recommendations.serving.catalogue import TrackFacts
from recommendations.serving.state import Stage
from recommendations.serving.strategies import STRATEGIES, Reason, Scene, explanation

MODELLED = frozenset({"neural_cf", "hybrid_ensemble", "discovery"})
"""Strategies that rank by the model where there is one."""


class ItemReason(NamedTuple):
    """A signal that raised a track's score, in words; `track_id` is the listener's own track."""

    signal: str
    text: str
    track_id: str | None = None


class Item(NamedTuple):
    """One recommended track.

    Attributes:
        facts: album, year, length, popularity and images.
        score: of the strategy; comparable within one answer only.
        explanation: the reasons as a sentence.
        prediction_score: expected rating, 1 to 5; None where no model can tell.
        confidence: probability that the rating would be within one star of it; None likewise.
        explored: whether its place was given to exploration.
    """

    track_id: str
    track_name: str
    artist: str
    artist_id: int
    genres: tuple[str, ...]
    facts: TrackFacts
    score: float
    prediction_score: float | None
    confidence: float | None
    strategy: str
    explanation: str
    reasons: tuple[ItemReason, ...]
    explored: bool


@dataclass(frozen=True)
class Answer:
    """A served slate: its ledger row and its items, best first."""

    recommendation: Recommendation
    items: list[Item] = field(default_factory=list)


def recommend(
    *,
    listener: Listener,
    wishes: Wishes,
    at: datetime,
    strategy: str | None = None,
    record: bool = True,
    known: Known | None = None,
) -> Answer:
    """Choose a policy, rank, keep the rules, explain, and write the ledger.

    Always answers with a full list while the catalogue has that many tracks that are not hidden
    or excluded; whatever had to give way is named in `Recommendation.fallback`.

    Args:
        listener: who asks; `listener.preferences` should be loaded.
        wishes: what for.
        at: now.
        strategy: serve this one whatever the policy says; for people who look into the system.
        record: False leaves no trace in the ledger, the bandit or an experiment.
        known: what was read of the listener just now, where it was.
    """
    taste, standing = known or tastes.read_known(listener)
    draft = compose(
        listener=listener,
        taste=taste,
        wishes=wishes,
        stage=state.current(),
        at=at,
        strategy=strategy,
        standing=standing,
    )
    if record:
        write_down([Shown(draft.answer.recommendation, draft.decision)], at=at)
    return draft.answer


@dataclass(frozen=True, eq=False)
class Draft:
    """A slate before it is written down, and the decision behind it."""

    answer: Answer
    decision: PolicyDecision


def compose(
    *,
    listener: Listener,
    taste: Taste,
    wishes: Wishes,
    stage: Stage,
    at: datetime,
    strategy: str | None = None,
    route: Route | None = None,
    standing: Standing | None = None,
) -> Draft:
    """Choose a policy, rank, keep the rules and explain; writes nothing but a folded taste.

    Args:
        listener: for whom.
        taste: what is known of them.
        wishes: what for.
        stage: what to serve from.
        at: now.
        strategy: serve this one whatever the policy says.
        route: what the experiments say, where that was asked for many at once.
        standing: the listener's in the experiments, where it was read along with the taste.
    """
    started = time.perf_counter()
    request_id = uuid.uuid4()
    scene = set_scene(listener, taste, wishes, stage)
    decision = (
        policies.fixed(strategy)
        if strategy
        else policies.decide(
            listener=listener,
            taste=taste,
            scene=scene,
            mood=wishes.affect,
            device=wishes.device,
            request_id=request_id,
            at=at,
            route=route,
            standing=standing,
        )
    )
    served, fallback = policies.servable(decision.strategy, scene)
    if not fallback and scene.portrait.vector is not None and served in MODELLED:
        fallback = stage.degraded
    slate, scores = rank(scene, served, taste, wishes, at, seed=request_id.int)
    if slate.relaxed and not fallback:
        fallback = f"too_few_tracks:{slate.relaxed}"
    items, predictions = items_of(
        scene, slate, scores, strategy=served, reasons=STRATEGIES[served].reasons
    )
    recommendation = Recommendation(
        id=request_id,
        listener=listener,
        created_at=at,
        policy=decision.policy,
        experiment=decision.experiment,
        variant=decision.variant,
        strategy=served,
        chosen_strategy=decision.strategy,
        propensity=decision.propensity,
        probabilities=decision.probabilities,
        fallback=fallback,
        model_version_id=stage.loaded.version if stage.loaded else None,
        tracks=stage.catalogue.pks[slate.rows].tolist(),
        scores=as_finite(scores[slate.rows]),
        predictions=as_finite(predictions) if stage.loaded else [],
        context=wishes.as_context(),
        latency_ms=1000 * (time.perf_counter() - started),
    )
    return Draft(Answer(recommendation, items), decision)


def items_of(
    scene: Scene,
    slate: Slate,
    scores: Floats,
    *,
    strategy: str,
    reasons: Callable[[Scene, Sequence[int]], list[list[Reason]]],
) -> tuple[list[Item], Floats]:
    """Return a slate's items, and the expected ratings, NaN where no model can tell."""
    catalogue = scene.catalogue
    predictions, confidences = predict(scene, slate.rows)
    items = []
    rows = slate.rows.tolist()
    told = zip(
        rows,
        reasons(scene, rows),
        scores[slate.rows].tolist(),
        _known(predictions, digits=2),
        _known(confidences, digits=3),
        slate.explored.tolist(),
        strict=True,
    )
    for row, why, score, prediction, confidence, explored in told:
        artist = catalogue.artist_rows[row]
        items.append(
            Item(
                track_id=catalogue.track_ids[row],
                track_name=catalogue.names[row],
                artist=catalogue.artist_names[artist],
                artist_id=int(catalogue.artist_pks[artist]),
                genres=tuple(catalogue.genres_of(row)),
                facts=catalogue.facts[row],
                score=score,
                prediction_score=prediction,
                confidence=confidence,
                strategy=strategy,
                explanation=explanation(why),
                reasons=tuple(
                    ItemReason(
                        signal=reason.signal,
                        text=reason.text,
                        track_id=None if reason.row is None else catalogue.track_ids[reason.row],
                    )
                    for reason in why
                ),
                explored=explored,
            )
        )
    return items, predictions


def predict(scene: Scene, rows: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return expected ratings and confidences of some tracks; NaN where no model can tell."""
    predictions = np.full(len(rows), np.nan, np.float32)
    confidences = np.full(len(rows), np.nan, np.float32)
    loaded, listener = scene.stage.loaded, scene.portrait.listener
    if loaded is not None and listener is not None:
        model_rows = loaded.model_rows[rows]
        known = model_rows >= 0
        outlooks = listener.outlooks(model_rows[known].tolist())
        predictions[known] = [outlook.rating for outlook in outlooks]
        confidences[known] = [outlook.confidence for outlook in outlooks]
    return predictions, confidences


def _known(values: Floats, *, digits: int) -> list[float | None]:
    return [None if math.isnan(value) else round(value, digits) for value in values.tolist()]


def as_finite(values: NDArray[np.floating]) -> list[float]:
    """Return values for the ledger; where there is none, the lowest number a real can hold."""
    known = values.astype(float)
    return np.where(np.isnan(known), 0.0, np.maximum(known, -1e30)).tolist()
