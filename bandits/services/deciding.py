"""Choosing an arm, and writing down the choice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np

from accounts.models import Listener
from bandits.core.context import SCHEMA_VERSION, Context, with_intercept
from bandits.core.policy import Distribution, replay
from bandits.core.probabilities import draw, nonce
from bandits.live import live_policy
from bandits.models import Bandit, Decision
from bandits.services.errors import BanditRuleViolation


@dataclass(frozen=True, eq=False)
class Choice:
    """An arm and everything that its decision row will say of how it came about.

    Attributes:
        request_id: of the slate that the arm is chosen for.
        bandit: as it stood when the policy was read.
        arm: the chosen one.
        context: the 20 numbers.
        distribution: eligible arms with their probabilities and scores.
        nonce: uniform in [0, 1), from the request id.
        explored: the arm's expected reward was not the largest.
    """

    request_id: UUID
    bandit: Bandit
    arm: str
    context: tuple[float, ...]
    distribution: Distribution
    nonce: float
    explored: bool

    @property
    def probabilities(self) -> dict[str, float]:
        """True probability of each eligible arm."""
        values = self.distribution.probabilities.tolist()
        return dict(zip(self.distribution.arms, values, strict=True))

    @property
    def probability(self) -> float:
        """True probability of the chosen arm."""
        return self.probabilities[self.arm]


def choose(
    bandit_key: str,
    *,
    request_id: UUID,
    context: Context,
    eligible: Sequence[str],
    at: datetime,
) -> Choice:
    """Choose one of the eligible arms; writes nothing.

    The same request, context, arms and posterior give the same choice.

    Args:
        bandit_key: which bandit.
        request_id: of the slate; the draw depends on it alone.
        context: what is known of listener and moment.
        eligible: arms that the caller can serve now, distinct, in any order; those the bandit
            does not have, or has paused or retired, are left out.
        at: now, by the caller's clock.

    Raises:
        BanditRuleViolation: `unknown_bandit`, or `no_eligible_arm`.
    """
    try:
        live = live_policy(bandit_key, at=at)
    except Bandit.DoesNotExist:
        raise BanditRuleViolation("unknown_bandit", f"there is no bandit {bandit_key!r}") from None
    arms = sorted(live.active.intersection(eligible))
    if not arms:
        raise BanditRuleViolation(
            "no_eligible_arm",
            f"none of {list(eligible)} may be chosen; active are {sorted(live.active)}",
        )
    vector = context.vector()
    pinned = live.bandit.pinned_arm
    if pinned is not None and pinned.key in arms:
        none = np.zeros(0)
        probabilities = replay(none, none, n_arms=1, floor=0.0)
        distribution = Distribution((pinned.key,), probabilities, none, none, 0.0)
    else:
        distribution = live.policy.distribution(with_intercept(vector), arms)
    uniform = nonce(bandit_key, request_id)
    index = draw(distribution.probabilities, uniform)
    return Choice(
        request_id=request_id,
        bandit=live.bandit,
        arm=distribution.arms[index],
        context=tuple(vector.tolist()),
        distribution=distribution,
        nonce=uniform,
        explored=bool(
            distribution.means.size and distribution.means[index] < distribution.means.max()
        ),
    )


def record_decision(
    choice: Choice,
    *,
    listener: Listener | None,
    at: datetime,
    served_arm: str | None = None,
) -> Decision:
    """Write the decision row, in the caller's transaction.

    Args:
        choice: from `choose`.
        listener: for whom.
        at: when the slate was served; the attribution window starts here.
        served_arm: what was served in the chosen arm's place, where a fall-back replaced it; its
            reward then teaches the served arm, while evaluation goes by the chosen one.

    Raises:
        IntegrityError: the request has its decision already.
    """
    decision = decision_of(choice, listener=listener, at=at, served_arm=served_arm)
    decision.save(force_insert=True)
    return decision


def decision_of(
    choice: Choice,
    *,
    listener: Listener | None,
    at: datetime,
    served_arm: str | None = None,
) -> Decision:
    """Return the row that `record_decision` would write, for a caller that writes many."""
    distribution = choice.distribution
    return Decision(
        request_id=choice.request_id,
        bandit=choice.bandit,
        bandit_version=choice.bandit.version,
        epoch=choice.bandit.epoch,
        listener=listener,
        decided_at=at,
        schema_version=SCHEMA_VERSION,
        context=list(choice.context),
        eligible=list(distribution.arms),
        means=distribution.means.tolist(),
        sds=distribution.sds.tolist(),
        floor=distribution.floor,
        probabilities=distribution.probabilities.tolist(),
        nonce=choice.nonce,
        arm=choice.arm,
        served_arm=served_arm or choice.arm,
        explored=choice.explored,
    )
