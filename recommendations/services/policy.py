"""Which strategy this request gets, and why: experiments, the bandit, and what can be served."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import numpy as np

import bandits.services
import experiments.services
from accounts.models import Listener
from bandits.core.context import Context
from bandits.services import BanditRuleViolation, Choice
from experiments.services import Assignment, Route, Standing
from recommendations.models import Taste
from recommendations.services.taste import session_of
from recommendations.serving.strategies import STRATEGIES, Scene

CONTEXTUAL_BANDIT = "contextual_bandit"
BANDIT = "recommendation_strategy"
PERSONAL = frozenset({"neural_cf", "content_based", "hybrid_ensemble"})
"""Strategies that have nothing to say to a listener of whom nothing is known."""


@dataclass(frozen=True, eq=False)
class PolicyDecision:
    """The strategy that a policy asks for.

    Attributes:
        policy: name of a strategy, `contextual_bandit`, or `forced`.
        strategy: the one asked for.
        propensity: its probability under the policy.
        choice: what the bandit chose, where it did.
        assignment: the listener's variant, where an experiment gave the policy.
    """

    policy: str
    strategy: str
    propensity: float = 1.0
    choice: Choice | None = None
    assignment: Assignment | None = None
    probabilities: dict[str, float] = field(default_factory=dict)

    @property
    def experiment(self) -> str:
        """Key of the experiment, or ""."""
        return self.assignment.experiment_key if self.assignment else ""

    @property
    def variant(self) -> str:
        """Key of the variant, or ""."""
        return self.assignment.variant_key if self.assignment else ""


def fixed(strategy: str) -> PolicyDecision:
    """Return the decision of a person who asks for a strategy."""
    return PolicyDecision(policy="forced", strategy=strategy)


def decide(
    *,
    listener: Listener,
    taste: Taste,
    scene: Scene,
    mood: tuple[float, float] | None,
    device: str | None,
    request_id: UUID,
    at: datetime,
    route: Route | None = None,
    standing: Standing | None = None,
) -> PolicyDecision:
    """Return the strategy that the listener's policy asks for.

    Args:
        listener: who asks.
        taste: what is known of them.
        scene: what a strategy would rank from.
        mood: (valence, arousal) of the request, or None.
        device: of the request, or None.
        request_id: of the slate; the bandit's draw depends on it.
        at: now.
        route: what the experiments say, where that was asked for many at once.
        standing: the listener's in the experiments, where it was read along with the taste.
    """
    if listener.is_visitor:  # by content and trend alone, and in no experiment
        strategy = "trending" if scene.portrait.is_unknown else "content_based"
        return PolicyDecision(policy=strategy, strategy=strategy)
    if route is None:
        attributes = attributes_of(taste, device)
        route = experiments.services.route(
            listener, attributes=attributes, at=at, standing=standing
        )
    policy, assignment = route.policy, route.assignment
    if policy != CONTEXTUAL_BANDIT:
        return PolicyDecision(policy=policy, strategy=policy, assignment=assignment)
    context = context_of(listener, taste, scene, mood=mood, device=device, at=at)
    eligible = [name for name in STRATEGIES if servable(name, scene) == (name, "")]
    try:
        choice = bandits.services.choose(
            BANDIT, request_id=request_id, context=context, eligible=eligible, at=at
        )
    except BanditRuleViolation:
        # Every arm that could be served is paused: the listener gets a list all the same.
        return PolicyDecision(policy=policy, strategy="trending", assignment=assignment)
    return PolicyDecision(
        policy=policy,
        strategy=choice.arm,
        propensity=choice.probability,
        choice=choice,
        assignment=assignment,
        probabilities=choice.probabilities,
    )


def attributes_of(taste: Taste, device: str | None) -> dict[str, object]:
    """Return what experiments may choose listeners by."""
    return {"device": device, "is_new": taste.n_feedback == 0}


def servable(strategy: str, scene: Scene) -> tuple[str, str]:
    """Return the strategy that can be served in this one's place, and why if it is another.

    The chain ends at `trending`, which needs nothing but a catalogue.
    """
    if strategy not in STRATEGIES:  # an experiment may prescribe what nobody has written
        return ("trending" if scene.portrait.is_unknown else "content_based"), "unknown_strategy"
    if not STRATEGIES[strategy].is_available(scene.stage):
        if scene.portrait.is_unknown:
            return "trending", scene.stage.degraded
        return "content_based", scene.stage.degraded
    if strategy in PERSONAL and scene.portrait.is_unknown:
        return "trending", "unknown_listener"
    return strategy, ""


def context_of(
    listener: Listener,
    taste: Taste,
    scene: Scene,
    *,
    mood: tuple[float, float] | None,
    device: str | None,
    at: datetime,
) -> Context:
    """Return the facts that the bandit decides by."""
    session = session_of(taste).at(at.timestamp())
    n = taste.n_feedback
    responses = taste.n_plays + taste.n_skips
    last = taste.last_seen_at
    return Context(
        local_time=local_time(listener, at),
        valence=mood[0] if mood else None,
        arousal=mood[1] if mood else None,
        device=device,
        feedback_count=n,
        mean_preference=min(1.0, taste.preference_sum / n) if n else None,
        genre_entropy=genre_entropy(scene),
        skip_rate=taste.n_skips / responses if responses else None,
        days_since_last_visit=max(0.0, (at - last).total_seconds() / 86_400) if last else None,
        session_tracks=session.n_tracks,
        session_minutes=session.minutes,
        session_mean_preference=min(1.0, session.preference_sum / session.n_tracks)
        if session.n_tracks
        else None,
        last_preference=session.last_preference if session.n_tracks else None,
    )


def local_time(listener: Listener, at: datetime) -> datetime:
    """Return the listener's local time; UTC where their time zone is not known, or is none."""
    try:
        return at.astimezone(zoneinfo.ZoneInfo(listener.time_zone or "UTC"))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return at


def genre_entropy(scene: Scene) -> float | None:
    """Return the entropy of the genres of a history over its largest value; None without any."""
    rows = scene.portrait.rows[scene.portrait.rows >= 0]
    if not len(rows):
        return None
    counts = scene.catalogue.content.genres.pooled(rows, np.ones(len(rows), np.float32))
    counts = counts[counts > 0]
    if len(counts) < 2:
        return 0.0 if len(counts) else None
    shares = counts / counts.sum()
    return float(min(1.0, max(0.0, -(shares * np.log(shares)).sum() / np.log(len(shares)))))
