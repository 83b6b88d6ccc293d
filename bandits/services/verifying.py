"""Checks that what was logged and learned is true."""

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from django.db import transaction
from django.db.models import F

from bandits.core.linear import LinearPosterior
from bandits.core.policy import replay
from bandits.core.probabilities import draw, nonce
from bandits.live import current_sums, prior_of
from bandits.models import Arm, Bandit, Decision
from bandits.services.learning import closed_form, rebuild

TOLERANCE = 1e-9
_SHOWN = 20


@dataclass
class Verification:
    """What a verification found.

    Attributes:
        decisions: rows replayed.
        mismatches: of the first rows that did not replay, why.
        n_mismatches: how many did not.
        largest_deviation: between stored posteriors and those of the closed form: of mean and
            covariance in absolute terms.
        lost: reward changes that no fold would ever find.
    """

    decisions: int = 0
    mismatches: list[str] = field(default_factory=list)
    n_mismatches: int = 0
    largest_deviation: float = 0.0
    lost: int = 0

    @property
    def is_clean(self) -> bool:
        """Nothing wrong was found."""
        return not self.n_mismatches and not self.lost and self.largest_deviation <= TOLERANCE


def replay_error(decision: Decision, bandit_key: str) -> str | None:
    """Return why this row does not replay to the arm and probabilities it says, or None."""
    expected = replay(
        np.array(decision.means),
        np.array(decision.sds),
        n_arms=len(decision.eligible),
        floor=decision.floor,
    )
    difference = float(np.abs(expected - decision.probabilities).max())
    if difference > TOLERANCE:
        return f"{decision.request_id}: probabilities differ by {difference:.2g}"
    if nonce(bandit_key, decision.request_id) != decision.nonce:
        return f"{decision.request_id}: the nonce is not that of the request"
    arm = decision.eligible[draw(np.array(decision.probabilities), decision.nonce)]
    if arm != decision.arm:
        return f"{decision.request_id}: replays to {arm}, logged is {decision.arm}"
    return None


@transaction.atomic
def verify(bandit: Bandit, *, at: datetime) -> Verification:
    """Replay every decision and compare what was learned with the closed form.

    Holds the bandit's lock, so that no fold runs meanwhile; requests and rewards go on.  Where a
    rebuild is due it is done first.
    """
    locked = Bandit.objects.select_for_update(no_key=True).get(pk=bandit.pk)
    if locked.rebuild_due:
        rebuild(locked, at=at)
    found = Verification()
    for decision in Decision.objects.filter(bandit=locked).iterator(chunk_size=2000):
        found.decisions += 1
        if error := replay_error(decision, locked.key):
            found.n_mismatches += 1
            if len(found.mismatches) < _SHOWN:
                found.mismatches.append(error)
    found.lost = (
        Decision.objects.filter(bandit=locked, unfolded=False)
        .exclude(reward=F("folded_reward"))
        .exclude(reward=None, folded_reward=None)
        .count()
    )
    closed = closed_form(locked, at=at)
    now = at.timestamp()
    for arm in Arm.objects.filter(bandit=locked).select_related("learned"):
        prior = prior_of(locked, arm.learned)
        stored = LinearPosterior.from_statistics(current_sums(arm.learned), prior, at=now)
        truth = LinearPosterior.from_statistics(closed[arm.key], prior, at=now)
        found.largest_deviation = max(
            found.largest_deviation,
            float(np.abs(stored.mean - truth.mean).max()),
            float(np.abs(stored.covariance - truth.covariance).max()),
        )
    return found
