"""Answering a request for recommendations, and writing down what was shown and why."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from django.conf import settings
from django.db import transaction
from numpy.typing import NDArray

from accounts.models import Listener, Preferences
from accounts.vocabulary import Activity, Device, Mood
from experiments.services import Route
from musicrec.metrics import SLATES
from recommendations.core.arrays import Floats
from recommendations.core.content import StatedTaste, audio_distance, content_profile
from recommendations.core.rules import Slate, SlateRules, choose_slate
from recommendations.models import OutboxEvent, Recommendation, Taste
from recommendations.services import policy as policies
from recommendations.services import taste as tastes
from recommendations.services.policy import PolicyDecision
from recommendations.serving import state
from recommendations.serving.catalogue import TrackFacts
from recommendations.serving.state import Stage
from recommendations.serving.strategies import STRATEGIES, Reason, Scene, explanation

MOOD_WEIGHT = 0.5
"""How far a mood moves a ranking: in standard deviations of score per unit of audio distance."""

NOVELTY_WEIGHT = 1.0
"""How far the dial moves a ranking: standard deviations of score between the best known and the
least known track, at either end of the dial."""

MODELLED = frozenset({"neural_cf", "hybrid_ensemble", "discovery"})
"""Strategies that rank by the model where there is one."""

EXPLORED_PLACES = {"discovery": 2}
"""Places of a slate given to a draw among the runners-up, by strategy; none elsewhere."""


@dataclass(frozen=True)
class Wishes:
    """What one request asks for.

    Attributes:
        n: length of the list, 1 to 100.
        mood: what the listener is in the mood for, or None.
        device: what they listen on, or None.
        genres: only tracks of one of these, where there are any left; empty for all.
        exclude: external ids of tracks that must not come.
        adventure: 0 familiar to 1 adventurous; None leaves the ranking as it is.
        activity: what they are doing, or None.
    """

    n: int = 10
    mood: Mood | None = None
    device: Device | None = None
    genres: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    adventure: float | None = None
    activity: Activity | None = None

    @property
    def affect(self) -> tuple[float, float] | None:
        """Valence and arousal of mood and activity, their mean where both are given; in [0, 1]."""
        given = [wish for wish in (self.mood, self.activity) if wish]
        if not given:
            return None
        n = len(given)
        return sum(wish.valence for wish in given) / n, sum(wish.arousal for wish in given) / n

    def as_context(self) -> dict[str, object]:
        """Return what the ledger keeps of them."""
        given = {
            "mood": self.mood,
            "activity": self.activity,
            "device": self.device,
            "genres": list(self.genres),
            "exclude": list(self.exclude),
            "adventure": self.adventure,
        }
        return {name: value for name, value in given.items() if value not in (None, [])}


@dataclass(frozen=True)
class ItemReason:
    """A signal that raised a track's score, in words; `track_id` is the listener's own track."""

    signal: str
    text: str
    track_id: str | None = None


@dataclass(frozen=True)
class Item:
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
    """
    draft = compose(
        listener=listener,
        taste=tastes.read_taste(listener),
        wishes=wishes,
        stage=state.current(),
        at=at,
        strategy=strategy,
    )
    if record:
        row = draft.answer.recommendation
        with transaction.atomic():
            row.save(force_insert=True)
            policies.record(draft.decision, listener=listener, served=row.strategy, at=at)
            OutboxEvent.objects.create(
                kind=OutboxEvent.Kind.SLATE, recommendation=row, created_at=at, due_at=at
            )
        SLATES.labels(row.policy, row.strategy, row.fallback).inc()
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
        )
    )
    served, fallback = policies.servable(decision.strategy, scene)
    if not fallback and scene.vector is not None and served in MODELLED:
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
    reasons: Callable[[Scene, int], list[Reason]],
) -> tuple[list[Item], Floats]:
    """Return a slate's items, and the expected ratings, NaN where no model can tell."""
    catalogue = scene.catalogue
    predictions, confidences = predict(scene, slate.rows)
    items = []
    for place, row in enumerate(slate.rows.tolist()):
        why = reasons(scene, row)
        artist = catalogue.artist_rows[row]
        items.append(
            Item(
                track_id=catalogue.track_ids[row],
                track_name=catalogue.names[row],
                artist=catalogue.artist_names[artist],
                artist_id=int(catalogue.artist_pks[artist]),
                genres=tuple(catalogue.genres_of(row)),
                facts=catalogue.facts[row],
                score=float(scores[row]),
                prediction_score=_known(predictions[place], digits=2),
                confidence=_known(confidences[place], digits=3),
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
                explored=bool(slate.explored[place]),
            )
        )
    return items, predictions


def set_scene(listener: Listener, taste: Taste, wishes: Wishes, stage: Stage) -> Scene:
    """Return what a strategy ranks from."""
    preferences: Preferences | None = getattr(listener, "preferences", None)
    # The folded embedding starts from what was stated once and for all, not from a passing mood.
    known = tastes.known_taste(taste, stage, preferences)
    return Scene(
        stage=stage,
        history=known.history,
        rows=known.rows,
        stated=tastes.stated_taste(preferences, mood=wishes.affect),
        vector=known.vector,
        adventure=0.5 if wishes.adventure is None else wishes.adventure,
    )


def rank(
    scene: Scene, strategy: str, taste: Taste, wishes: Wishes, at: datetime, *, seed: int
) -> tuple[Slate, Floats]:
    """Return the slate that a strategy and the rules make, and every track's score."""
    scores = STRATEGIES[strategy].scores(scene)
    return rank_scores(scores, scene, strategy, taste, wishes, at, seed=seed)


def rank_scores(
    scores: Floats,
    scene: Scene,
    strategy: str,
    taste: Taste,
    wishes: Wishes,
    at: datetime,
    *,
    seed: int,
) -> tuple[Slate, Floats]:
    """Return the slate that wishes and rules make of a strategy's scores, and those, tilted."""
    options = settings.MUSICREC
    if wishes.affect is not None and strategy != "content_based":
        scores = tilt_to_mood(scores, scene, wishes.affect)
    if wishes.adventure is not None and strategy != "discovery":
        scores = tilt_to_novelty(scores, scene, wishes.adventure)
    rules = SlateRules(
        k=wishes.n,
        max_per_artist=options["MAX_PER_ARTIST"],
        diversity=options["DIVERSITY"],
        n_explored=min(EXPLORED_PLACES.get(strategy, 0), wishes.n // 5),
    )
    slate = choose_slate(
        scores,
        rules,
        banned=banned_tracks(scene, taste, wishes, at),
        soft_bans=soft_bans_of(scene, wishes, at),
        artists=scene.catalogue.artist_rows,
        vectors=scene.catalogue.content_vectors,
        rng=np.random.default_rng(seed),
    )
    return slate, scores


def tilt_to_mood(scores: Floats, scene: Scene, mood: tuple[float, float]) -> Floats:
    """Return scores moved towards tracks whose valence and energy suit a mood.

    Scores are standardised first, so that a mood weighs the same in every strategy.
    """
    nothing = np.empty(0, np.intp)
    wanted = content_profile(
        scene.catalogue.content, nothing, nothing.astype(np.float32), StatedTaste(mood=mood)
    )
    distance = audio_distance(scene.catalogue.content.audio, wanted)
    finite = np.isfinite(scores)
    if not finite.any():
        return scores
    level = (scores - scores[finite].mean()) / max(float(scores[finite].std()), 1e-9)
    fit = distance / max(float(distance.std()), 1e-9)
    return np.where(finite, level - MOOD_WEIGHT * fit, scores).astype(np.float32)


def tilt_to_novelty(scores: Floats, scene: Scene, adventure: float) -> Floats:
    """Return scores moved towards less known tracks, or towards well-known ones below 0.5.

    Novelty is the rank of a track among all by how few know it, so that the dial means the same
    in every catalogue; in the middle of the dial nothing moves.
    """
    finite = np.isfinite(scores)
    if not finite.any() or adventure == 0.5:
        return scores
    level = (scores - scores[finite].mean()) / max(float(scores[finite].std()), 1e-9)
    tilt = NOVELTY_WEIGHT * (2 * adventure - 1) * scene.catalogue.novelty
    return np.where(finite, level + tilt, scores).astype(np.float32)


def predict(scene: Scene, rows: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return expected ratings and confidences of some tracks; NaN where no model can tell."""
    predictions = np.full(len(rows), np.nan, np.float32)
    confidences = np.full(len(rows), np.nan, np.float32)
    loaded, listener = scene.stage.loaded, scene.listener
    if loaded is not None and listener is not None:
        model_rows = loaded.model_rows[rows]
        known = model_rows >= 0
        ratings = loaded.model.expected_rating(listener, model_rows[known])
        predictions[known] = ratings
        confidences[known] = loaded.model.confidence(listener, model_rows[known], ratings)
    return predictions, confidences


def banned_tracks(scene: Scene, taste: Taste, wishes: Wishes, at: datetime) -> NDArray[np.bool_]:
    """Return which tracks must not be shown: hidden by the listener, or excluded here."""
    catalogue = scene.catalogue
    banned = np.zeros(len(catalogue), bool)
    tracks = _in_force(taste.hidden.get("tracks", {}), at)
    rows = catalogue.rows_of(tracks)
    banned[rows[rows >= 0]] = True
    artists = _in_force(taste.hidden.get("artists", {}), at)
    if len(artists):
        banned |= np.isin(catalogue.artist_pks[catalogue.artist_rows], artists)
    for track_id in wishes.exclude:
        row = catalogue.row_of_track_id.get(track_id)
        if row is not None:
            banned[row] = True
    return banned


def _in_force(hidden: dict[str, float | None], at: datetime) -> NDArray[np.int64]:
    moment = at.timestamp()
    keys = [int(pk) for pk, until in hidden.items() if until is None or until > moment]
    return np.array(keys, np.int64)


def soft_bans_of(
    scene: Scene, wishes: Wishes, at: datetime
) -> Sequence[tuple[str, NDArray[np.bool_]]]:
    """Return the rules that give way where too little is left, the last one first."""
    catalogue = scene.catalogue
    bans = []
    if wishes.genres:
        outside = np.ones(len(catalogue), bool)
        for genre in wishes.genres:
            outside[catalogue.genre_rows.get(genre, [])] = False
        bans.append(("genres", outside))
    heard = np.zeros(len(catalogue), bool)
    since = (at - settings.MUSICREC["REPEAT_DELAY"]).timestamp()
    rows = catalogue.rows_of(scene.history.heard_since(since))
    heard[rows[rows >= 0]] = True
    bans.append(("heard", heard))
    return bans


def _known(value: np.floating, *, digits: int) -> float | None:
    return None if np.isnan(value) else round(float(value), digits)


def as_finite(values: NDArray[np.floating]) -> list[float]:
    """Return values for the ledger; where there is none, the lowest number a real can hold."""
    return np.nan_to_num(values.astype(float), nan=0.0, neginf=-1e30).tolist()
