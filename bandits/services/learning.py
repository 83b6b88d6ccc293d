"""Folding reward changes into what the arms have learned.

A reward writes its own decision row only, so no row is hot and no lock is shared among workers.
What has changed since waits in a partial index until `fold` adds it to the arms' sums, in batches.
Readers add the waiting changes themselves and so are never behind.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

import numpy as np
from django.db import transaction
from django.db.models import F

from bandits.core.context import DIMENSION, SCHEMA_VERSION
from bandits.core.logistic import LogisticPosterior
from bandits.core.statistics import Statistics
from bandits.live import changes_of, current_sums, logistic_prior_mean
from bandits.models import Arm, Bandit, Decision, Learned

BATCH = 5000
Progress = Callable[[float], None]
_LOGISTIC_ROWS = 5000  # the newest rewards per arm that a refit looks at


@transaction.atomic
def fold(bandit: Bandit, *, at: datetime) -> int:
    """Add up to `BATCH` waiting reward changes to the sums, and return how many.

    Takes the bandit's lock; where another fold or an operator's act holds it, returns 0 at once.
    Rows that a worker holds locked are left for the next fold.
    """
    locked = (
        Bandit.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=bandit.pk).first()
    )
    if locked is None:
        return 0
    decisions = list(
        Decision.objects.filter(bandit=locked)
        .pending()
        .select_for_update(skip_locked=True, of=("self",))
        .only("request_id", "served_arm", "context", "decided_at", "reward", "folded_reward")
        .order_by()[:BATCH]
    )
    if not decisions:
        return 0
    by_arm: dict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        by_arm[decision.served_arm].append(decision)
    # A fall-back may have served what is no arm; such rewards teach nothing and are marked done.
    arms = Arm.objects.filter(bandit=locked, key__in=by_arm).select_related("learned")
    for arm in arms:
        changes = changes_of(
            (row.context, row.decided_at.timestamp(), row.folded_reward, row.reward)
            for row in by_arm[arm.key]
        )
        _store(arm.learned, current_sums(arm.learned).changed(changes), at=at)
    Decision.objects.filter(pk__in=[decision.pk for decision in decisions]).update(
        folded_reward=F("reward"), unfolded=False
    )
    if locked.policy == Bandit.PolicyKind.LOGISTIC:
        for arm in arms:
            _refit(locked, arm, at=at)
    return len(decisions)


@transaction.atomic
def rebuild(bandit: Bandit, *, at: datetime, progress: Progress = lambda share: None) -> bool:
    """Compute every arm's sums anew from its decisions, with the bandit's settings of now.

    Takes the bandit's lock; where a fold, an operator's act or another rebuild holds it, does
    nothing and returns False.

    Args:
        bandit: whose.
        at: now.
        progress: called with the share of the decisions that has been read.
    """
    locked = (
        Bandit.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=bandit.pk).first()
    )
    if locked is None:
        return False
    Decision.objects.filter(bandit=locked).pending().update(
        folded_reward=F("reward"), unfolded=False
    )
    sums = closed_form(locked, at=at, progress=progress)
    for arm in Arm.objects.filter(bandit=locked).select_related("learned"):
        _store(arm.learned, sums[arm.key], at=at)
        if locked.policy == Bandit.PolicyKind.LOGISTIC:
            _refit(locked, arm, at=at)
    Bandit.objects.filter(pk=locked.pk).update(rebuild_due=False)
    return True


def closed_form(
    bandit: Bandit, *, at: datetime, progress: Progress = lambda share: None
) -> dict[str, Statistics]:
    """Return each arm's sums computed from the folded rewards of all its decisions at once."""
    empty = Statistics.empty(
        DIMENSION, reference=at.timestamp(), half_life=bandit.half_life_seconds
    )
    sums = {arm.key: empty for arm in bandit.arms.all()}
    rows = (
        Decision.objects.filter(bandit=bandit, folded_reward__isnull=False, served_arm__in=sums)
        .counted()
        .values_list("served_arm", "context", "decided_at", "folded_reward")
    )
    batch: dict[str, list[tuple[list[float], float, None, float]]] = defaultdict(list)
    total = rows.count()

    def add(key: str) -> None:
        sums[key] = sums[key].changed(changes_of(batch.pop(key)))

    for n, (key, context, decided_at, reward) in enumerate(rows.iterator(chunk_size=BATCH), 1):
        batch[key].append((context, decided_at.timestamp(), None, reward))
        if len(batch[key]) == BATCH:
            add(key)
        if n % BATCH == 0:
            progress(n / total)
    for key in list(batch):
        add(key)
    return sums


def _store(learned: Learned, sums: Statistics, *, at: datetime) -> None:
    learned.sums = sums.to_bytes()
    learned.reference = sums.reference
    learned.half_life = sums.half_life
    learned.schema_version = SCHEMA_VERSION
    learned.folded_at = at
    learned.save(update_fields=["sums", "reference", "half_life", "schema_version", "folded_at"])


def _refit(bandit: Bandit, arm: Arm, *, at: datetime) -> None:
    """Fit the logistic posterior to the arm's newest rewards."""
    rows = (
        Decision.objects.filter(bandit=bandit, served_arm=arm.key, folded_reward__isnull=False)
        .counted()
        .order_by("-decided_at")
        .values_list("context", "decided_at", "folded_reward")[:_LOGISTIC_ROWS]
    )
    data = changes_of((context, when.timestamp(), None, reward) for context, when, reward in rows)
    learned = arm.learned
    fitted = LogisticPosterior.fit(
        data.contexts,
        data.after,
        prior_mean=logistic_prior_mean(learned),
        prior_precision=bandit.prior_precision,
        weights=np.exp2((data.decided - at.timestamp()) / bandit.half_life_seconds),
        start=None if learned.mode is None else np.array(learned.mode),
    )
    learned.mode = fitted.mean.tolist()
    learned.covariance = fitted.covariance.astype("<f8").tobytes()
    learned.save(update_fields=["mode", "covariance"])
