"""Rewards: what a slate earned, as often as that changes."""

import math
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Value

from bandits.models import Bandit, Decision
from bandits.services.errors import BanditRuleViolation


def windows(request_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """Return until when a response counts towards the reward of each request's decision.

    By the same window as `expire` and `bandits.off_policy.history`; requests that no bandit
    decided are left out.
    """
    rows = Decision.objects.filter(request_id__in=request_ids).values_list(
        "request_id", "decided_at", "bandit__attribution_window"
    )
    return {request_id: decided_at + window for request_id, decided_at, window in rows}


def credit(*, request_id: UUID, reward: float | None, at: datetime, final: bool = False) -> None:
    """Set a decision's reward to what all its responses so far make it.

    `reward` is the whole of it, not a change: the caller computes it from every response within
    its window (`windows`), in the transaction that holds the slate's lock, so that the last to
    commit knows all of them, and a repeated call changes nothing.  Only this one row is written;
    the posterior takes the change in at its next reading (`bandits.live`) and the next fold.

    Args:
        request_id: of the slate.
        reward: in [0, 1]; None where no response is left, all having been withdrawn: the decision
            waits again, or, its window being over, has earned 0.
        at: now.
        final: nothing more will come.

    Raises:
        ValueError: the reward is outside [0, 1].
        BanditRuleViolation: `unknown_decision`.
    """
    if reward is not None and not (math.isfinite(reward) and 0 <= reward <= 1):
        raise ValueError(f"reward must be in [0, 1], got {reward}")
    row = Decision.objects.filter(request_id=request_id)
    if reward is None:
        state = Decision.State.WAITING
        window_began = ExpressionWrapper(
            Value(at) - F("bandit__attribution_window"), DateTimeField()
        )
        if row.filter(decided_at__lte=window_began).exists():
            reward, state = 0.0, Decision.State.EXPIRED
    else:
        state = Decision.State.FINAL if final else Decision.State.PROVISIONAL
    changed = row.update(reward=reward, state=state, rewarded_at=at, unfolded=True)
    if not changed:
        raise BanditRuleViolation("unknown_decision", f"request {request_id} has no decision")


@transaction.atomic
def expire(*, at: datetime) -> int:
    """Close every decision whose attribution window has passed, and return how many.

    Without a response the reward is 0; a provisional reward becomes final.  A response that came
    in time but is handled only later may still be credited: it replaces the 0.
    """
    closed = 0
    for bandit in Bandit.objects.all():
        due = Decision.objects.filter(bandit=bandit).due(before=at - bandit.attribution_window)
        # Each update looks at the state again once it holds a row's lock, so that a reward
        # credited meanwhile is kept.
        closed += due.filter(state=Decision.State.WAITING).update(
            reward=0.0, state=Decision.State.EXPIRED, rewarded_at=at, unfolded=True
        )
        closed += due.filter(state=Decision.State.PROVISIONAL).update(state=Decision.State.FINAL)
    return closed
