"""Which strategy this request gets, and why: experiments, the bandit, and what can be served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from accounts.models import Listener
from recommendations.models import Taste
from recommendations.serving.strategies import STRATEGIES, Scene

CONTEXTUAL_BANDIT = "contextual_bandit"
PERSONAL = frozenset({"neural_cf", "content_based", "hybrid_ensemble"})
"""Strategies that say nothing to a listener of whom nothing is known."""


@dataclass(frozen=True)
class PolicyDecision:
    """The strategy that a policy asks for.

    Attributes:
        policy: name of a strategy, `contextual_bandit`, or `forced`.
        strategy: the one asked for.
        propensity: its probability under the policy, given the listener's variant.
        probabilities: of every arm, where the bandit chose.
        experiment: key of the experiment that gave the policy, or "".
        variant: key of the variant, or "".
    """

    policy: str
    strategy: str
    propensity: float = 1.0
    probabilities: Mapping[str, float] = field(default_factory=dict)
    experiment: str = ""
    variant: str = ""


def fixed(strategy: str) -> PolicyDecision:
    """Return the decision of a person who asks for a strategy."""
    return PolicyDecision(policy="forced", strategy=strategy)


def decide(
    *, listener: Listener, taste: Taste, scene: Scene, wishes: object, request_id: UUID, at: datetime
) -> PolicyDecision:
    """Return the strategy that the listener's policy asks for."""
    return PolicyDecision(policy="hybrid_ensemble", strategy="hybrid_ensemble")


def record(
    decision: PolicyDecision, *, listener: Listener, served: str, fallback: str, at: datetime
) -> None:
    """Write the exposure and the bandit's decision, in the transaction of the slate."""


def servable(strategy: str, scene: Scene) -> tuple[str, str]:
    """Return the strategy that can be served in this one's place, and why if it is another.

    The chain ends at `trending`, which needs nothing but a catalogue.
    """
    degraded = scene.stage.degraded if strategy in ("neural_cf", "hybrid_ensemble") else ""
    if not STRATEGIES[strategy].is_available(scene.stage):
        strategy = "content_based"
    if strategy in PERSONAL and scene.is_unknown:
        return "trending", degraded or "unknown_listener"
    return strategy, degraded
