"""What is known of a bandit, as plain values that page, API and command share."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import Count, Max, Q

from bandits import live
from bandits.core.context import DIMENSION, NAMES, Context, with_intercept
from bandits.core.evaluation import ThinSupport
from bandits.core.intervals import asymptotic_half_width
from bandits.core.policy import ThompsonSampling
from bandits.core.probabilities import probabilities_of_being_best
from bandits.models import Arm, Bandit, Decision
from bandits.off_policy import History, history, modelled_rewards, off_policy, targets_of

RECENT_CONTEXTS = 500
"""The newest contexts, over which an arm's standing is computed."""

_SEED = 0  # of the bootstrap: a report on the same rows says the same
_ESTIMATOR = "SNDR"  # bounded weights and the model's help; the others are in `evaluate`

SITUATIONS = {
    "morning": ("in the morning, at 8", {"local_time": datetime(2026, 1, 7, 8)}),
    "evening": ("in the evening, at 20", {"local_time": datetime(2026, 1, 7, 20)}),
    "phone": ("on a phone", {"device": "mobile"}),
    "desktop": ("on a desktop", {"device": "desktop"}),
}
_CLOCK = ("hour_sin", "hour_cos")
_DEVICES = ("mobile", "desktop", "hands_free")


def build(bandit: Bandit, *, at: datetime, n_resamples: int = 1000) -> dict[str, Any]:
    """Return the whole report, computed now; what cannot be said is None with a reason beside.

    Two passes over the bandit's decisions and a bootstrap: seconds at a million rows, so pages
    show the newest `Snapshot` instead.
    """
    decisions = Decision.objects.filter(bandit=bandit)
    totals = decisions.aggregate(
        decisions=Count("pk"),
        listeners=Count("listener", distinct=True),
        waiting=Count("pk", filter=Q(state=Decision.State.WAITING)),
        provisional=Count("pk", filter=Q(state=Decision.State.PROVISIONAL)),
        expired=Count("pk", filter=Q(state=Decision.State.EXPIRED)),
        unfolded=Count("pk", filter=Q(unfolded=True)),
        last_decision_at=Max("decided_at"),
        last_reward_at=Max("rewarded_at"),
    )
    policy = live.load(bandit, at=at)
    contexts = _recent_contexts(bandit)
    average = contexts.mean(axis=0) if len(contexts) else None
    now = _standing(policy, contexts)
    counts = {row["arm"]: row for row in decisions.by_arm()}
    arms = [
        _arm(arm, counts.get(arm.key), totals["decisions"], now.get(arm.key))
        for arm in bandit.arms.all()
    ]
    explored = sum(row["explored"] for row in counts.values())
    log = history(bandit, at=at)
    return {
        "bandit": _settings(bandit),
        "generated_at": at.isoformat(),
        "is_simulated": decisions.filter(listener__is_simulated=True).exists(),
        **{
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in totals.items()
        },
        "arms": arms,
        "standing": {
            arm["arm"]: arm["probability_best"] for arm in arms if arm["probability_best"]
        },
        "situations": _situations(policy, average),
        "exploration": None
        if not totals["decisions"]
        else {
            "explored": explored,
            "exploited": totals["decisions"] - explored,
            "share": explored / totals["decisions"],
        },
        "off_policy": _off_policy(bandit, log, n_resamples),
    }


def current(bandit: Bandit, *, at: datetime) -> dict[str, Any]:
    """Return the newest snapshot's report, with how the standing changed over time.

    Before the first snapshot the report is computed on the spot: there is little to compute from.
    """
    snapshot = bandit.snapshots.first()
    report = snapshot.report if snapshot else build(bandit, at=at)
    series = list(
        bandit.snapshots.values_list("taken_at", "report__standing").order_by("-taken_at")[:168]
    )
    report["over_time"] = [
        {"at": taken_at.isoformat(), "probability_best": standing}
        for taken_at, standing in reversed(series)
        if standing
    ]
    return report


def _settings(bandit: Bandit) -> dict[str, Any]:
    return {
        "key": bandit.key,
        "policy": bandit.policy,
        "version": bandit.version,
        "floor": bandit.floor,
        "exploration": bandit.exploration,
        "half_life_days": bandit.half_life.total_seconds() / 86_400 if bandit.half_life else None,
        "attribution_window_minutes": bandit.attribution_window.total_seconds() / 60,
        "pinned_arm": bandit.pinned_arm.key if bandit.pinned_arm else None,
    }


def _recent_contexts(bandit: Bandit) -> np.ndarray:
    """Return the newest contexts, intercept included, shape (n, 21)."""
    rows = list(
        Decision.objects.filter(bandit=bandit)
        .order_by("-decided_at")
        .values_list("context", flat=True)[:RECENT_CONTEXTS]
    )
    return with_intercept(np.array(rows)) if rows else np.zeros((0, DIMENSION))


def _standing(policy: live.LivePolicy, contexts: np.ndarray) -> dict[str, dict[str, float]]:
    """Return per arm the expected reward at the recent contexts, and the chance that it leads.

    An arm leads if its mean reward over those contexts is the largest: one comparison of normals,
    so a probability without exploration's factor and without the floor.
    """
    if not len(contexts) or not isinstance(policy.policy, ThompsonSampling):
        return {}
    return _scores(policy, contexts.mean(axis=0))


def _scores(policy: live.LivePolicy, context: np.ndarray) -> dict[str, dict[str, float]]:
    beliefs = {arm: policy.posteriors[arm] for arm in sorted(policy.active)}
    means = np.array([belief.mean @ context for belief in beliefs.values()])
    sds = np.sqrt([context @ belief.covariance @ context for belief in beliefs.values()])
    best = probabilities_of_being_best(means, sds)
    if policy.bandit.policy == Bandit.PolicyKind.LOGISTIC:
        low, high, means = (1 / (1 + np.exp(-z)) for z in (means - sds, means + sds, means))
        sds = (high - low) / 2
    return {
        arm: {
            "expected_reward": float(means[row]),
            "sd": float(sds[row]),
            "probability_best": float(best[row]),
        }
        for row, arm in enumerate(beliefs)
    }


def _arm(
    arm: Arm, counts: Mapping[str, Any] | None, total: int, now: Mapping[str, float] | None
) -> dict[str, Any]:
    pulls = counts["pulls"] if counts else 0
    rewarded = counts["rewarded"] if counts else 0
    mean = half_width = None
    if counts and rewarded > 1:
        mean = counts["total"] / rewarded
        variance = max(counts["squares"] / rewarded - mean**2, 0.0) * rewarded / (rewarded - 1)
        half_width = asymptotic_half_width(n=rewarded, variance=variance)
    return {
        "arm": arm.key,
        "status": arm.status,
        "pulls": pulls,
        "share": pulls / total if total else None,
        "rewarded": rewarded,
        "waiting": counts["waiting"] if counts else 0,
        "explored": counts["explored"] if counts else 0,
        "fallbacks": counts["fallbacks"] if counts else 0,
        "mean_reward": mean,
        "mean_reward_low": None if mean is None else max(mean - half_width, 0.0),
        "mean_reward_high": None if mean is None else min(mean + half_width, 1.0),
        "expected_reward": now["expected_reward"] if now else None,
        "probability_best": now["probability_best"] if now else None,
    }


def _situations(policy: live.LivePolicy, average: np.ndarray | None) -> list[dict[str, Any]]:
    """Return what is believed of each arm in a few situations, all else as it is on average."""
    if average is None or not isinstance(policy.policy, ThompsonSampling):
        return []
    result = []
    for key, (label, known) in SITUATIONS.items():
        told = Context(**known).vector()
        context = average.copy()
        for name in _CLOCK if "local_time" in known else _DEVICES:
            context[NAMES.index(name)] = told[NAMES.index(name)]
        result.append({"key": key, "label": label, "arms": _scores(policy, context)})
    return result


def _off_policy(bandit: Bandit, log: History, n_resamples: int) -> dict[str, Any]:
    """Return every arm played wherever it was eligible, beside the bandit, and the regret.

    Where an arm was not eligible all stays as it was, so that every arm is valued over the same
    decisions; the regret is against the one with the largest advantage.
    """
    rng = np.random.default_rng(_SEED)
    modelled = modelled_rewards(log)
    arms: dict[str, Any] = {}
    for key, target in targets_of([arm.key for arm in bandit.arms.all()]).items():
        try:
            found = off_policy(log, target, rng, n_resamples=n_resamples, modelled=modelled)
        except ThinSupport as error:
            arms[key] = {"refused": str(error)}
            continue
        value, advantage = found.estimates[_ESTIMATOR], found.advantages[_ESTIMATOR]
        arms[key] = {
            "value": value.value,
            "low": value.value - value.anytime,
            "high": value.value + value.anytime,
            "advantage": advantage.value,
            "advantage_low": advantage.value - advantage.anytime,
            "advantage_high": advantage.value + advantage.anytime,
            "effective_sample_size": found.effective_sample_size,
            "largest_weight": found.largest_weight,
            "left_out": found.left_out,
        }
    answered = {key: arm for key, arm in arms.items() if "value" in arm}
    best = max(answered, key=lambda key: answered[key]["advantage"], default=None)
    return {
        "estimator": _ESTIMATOR,
        "decisions": len(log),
        "listeners": len(np.unique(log.listeners)),
        "logged_mean": float(log.rewards.mean()) if len(log) else None,
        "arms": arms,
        "regret": None
        if best is None
        else {
            "best_arm": best,
            "per_decision": answered[best]["advantage"],
            "low": answered[best]["advantage_low"],
            "high": answered[best]["advantage_high"],
        },
    }
