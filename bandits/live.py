"""The policy that this process decides with, read from the database at most 2 s ago."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from bandits.core.context import DIMENSION, SCHEMA_VERSION
from bandits.core.linear import LinearPosterior, LinearPrior
from bandits.core.logistic import LogisticPosterior
from bandits.core.policy import Policy, Posterior, ThompsonSampling, Uniform
from bandits.core.statistics import RewardChanges, Statistics
from bandits.models import Arm, Bandit, Learned

MAX_AGE = timedelta(seconds=2)
_REFRESH_AGE = timedelta(seconds=1)


@dataclass(frozen=True, eq=False)
class LivePolicy:
    """A bandit as it stood at `loaded_at`.

    Attributes:
        bandit: with its settings and pinned arm.
        active: arms that may be chosen.
        policy: probabilities with the bandit's floor and exploration.
        posteriors: per arm that is not retired; empty for the uniform policy.
        loaded_at: by the caller's clock.
    """

    bandit: Bandit
    active: frozenset[str]
    policy: Policy
    posteriors: Mapping[str, Posterior]
    loaded_at: datetime


def load(bandit: Bandit, *, at: datetime) -> LivePolicy:
    """Return the policy with every reward committed so far, in one query for all arms."""
    arms = list(Arm.objects.filter(bandit=bandit).exclude(status=Arm.Status.RETIRED).with_sums())
    posteriors = posteriors_of(bandit, arms, at=at)
    policy: Policy
    if bandit.policy == Bandit.PolicyKind.UNIFORM:
        policy = Uniform()
    else:
        policy = ThompsonSampling(posteriors, floor=bandit.floor, exploration=bandit.exploration)
    return LivePolicy(
        bandit=bandit,
        active=frozenset(arm.key for arm in arms if arm.status == Arm.Status.ACTIVE),
        policy=policy,
        posteriors=posteriors,
        loaded_at=at,
    )


def posteriors_of(bandit: Bandit, arms: Iterable[Arm], *, at: datetime) -> dict[str, Posterior]:
    """Return what is believed of each arm; `arms` come from `ArmQuerySet.with_sums`."""
    if bandit.policy == Bandit.PolicyKind.UNIFORM:
        return {}
    if bandit.policy == Bandit.PolicyKind.LOGISTIC:
        return {arm.key: _logistic(bandit, arm.learned) for arm in arms}
    return {
        arm.key: LinearPosterior.from_statistics(
            statistics_of(arm), prior_of(bandit, arm.learned), at=at.timestamp()
        )
        for arm in arms
    }


def statistics_of(arm: Arm) -> Statistics:
    """Return the arm's sums including the reward changes not folded in yet."""
    changes = changes_of([(r["context"], r["at"], r["before"], r["after"]) for r in arm.pending])
    return current_sums(arm.learned).changed(changes)


def current_sums(learned: Learned) -> Statistics:
    """Return the stored sums, or none where they were made under another context schema."""
    if learned.schema_version == SCHEMA_VERSION:
        return learned.statistics()
    return Statistics.empty(DIMENSION, reference=learned.reference, half_life=learned.half_life)


def changes_of(
    rows: Iterable[tuple[list[float], float, float | None, float | None]],
) -> RewardChanges:
    """Return rows of (context, Unix time of decision, reward before, reward after) as arrays."""
    rows = list(rows)
    contexts = np.ones((len(rows), DIMENSION))
    if rows:
        contexts[:, :-1] = [row[0] for row in rows]
    times, before, after = (
        np.array([np.nan if row[i] is None else row[i] for row in rows], dtype=np.float64)
        for i in (1, 2, 3)
    )
    return RewardChanges(contexts, times, before, after)


def prior_of(bandit: Bandit, learned: Learned) -> LinearPrior:
    """Return what is believed of an arm's weights before its first reward."""
    if learned.prior_mean is not None:
        return LinearPrior(np.array(learned.prior_mean), bandit.prior_precision)
    return LinearPrior.centred(DIMENSION, precision=bandit.prior_precision)


def logistic_prior_mean(learned: Learned) -> np.ndarray:
    """Return the prior mean on the log-odds scale; nothing known is even odds."""
    return np.zeros(DIMENSION) if learned.prior_mean is None else np.array(learned.prior_mean)


def _logistic(bandit: Bandit, learned: Learned) -> LogisticPosterior:
    if learned.mode is None or learned.schema_version != SCHEMA_VERSION:
        return LogisticPosterior(
            logistic_prior_mean(learned), np.eye(DIMENSION) / bandit.prior_precision
        )
    covariance = np.frombuffer(bytes(learned.covariance), dtype="<f8").reshape(DIMENSION, -1)
    return LogisticPosterior(np.array(learned.mode), covariance)


class _Cache:
    """Policies by bandit key; one thread reads anew while the others go on with the last."""

    def __init__(self) -> None:
        self._policies: dict[str, LivePolicy] = {}
        self._reading: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, key: str, at: datetime) -> LivePolicy:
        held = self._policies.get(key)
        # By the caller's clock, which a simulation runs ahead and may start again.
        age = abs(at - held.loaded_at) if held else None
        if held is not None and age is not None and age < _REFRESH_AGE:
            return held
        with self._guard:
            lock = self._reading.setdefault(key, threading.Lock())
        must_wait = age is None or age >= MAX_AGE
        if not lock.acquire(blocking=must_wait):
            assert held is not None  # noqa: S101 - tells mypy what must_wait says
            return held
        try:
            newer = self._policies.get(key)
            if newer is not None and newer is not held and abs(at - newer.loaded_at) < MAX_AGE:
                return newer
            bandit = Bandit.objects.select_related("pinned_arm").get(key=key)
            self._policies[key] = load(bandit, at=at)
            return self._policies[key]
        finally:
            lock.release()

    def clear(self) -> None:
        self._policies.clear()


_cache = _Cache()


def live_policy(bandit_key: str, *, at: datetime) -> LivePolicy:
    """Return this process's policy, read anew where it is over a second old, by force over two.

    Raises:
        Bandit.DoesNotExist: there is no such bandit.
    """
    return _cache.get(bandit_key, at)


def forget() -> None:
    """Drop what this process holds, so that the next decision reads the database."""
    _cache.clear()
