"""The policy that this process decides with, read from the database at most 2 s ago."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.db import DatabaseError, connection

from bandits.core.context import DIMENSION, SCHEMA_VERSION
from bandits.core.linear import LinearPosterior, LinearPrior
from bandits.core.logistic import LogisticPosterior
from bandits.core.policy import Policy, Posterior, ThompsonSampling, Uniform
from bandits.core.statistics import RewardChanges, Statistics
from bandits.models import Arm, Bandit, Learned

logger = logging.getLogger(__name__)

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
    """Policies by bandit key.

    One that is over a second old is read anew by a thread of its own, while requests go on with
    what is there; only where it is older than `MAX_AGE`, as after a pause, a request reads itself.
    """

    def __init__(self) -> None:
        self._policies: dict[str, LivePolicy] = {}
        self._reading: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        self._reader = _Reader(self.read)

    def get(self, key: str, at: datetime) -> LivePolicy:
        held = self._policies.get(key)
        # By the caller's clock, which a simulation runs ahead and may start again.
        if held is not None and abs(at - held.loaded_at) < _REFRESH_AGE:
            return held
        # What a transaction has not committed only its own connection can read.
        if held is None or abs(at - held.loaded_at) >= MAX_AGE or connection.in_atomic_block:
            return self.read(key, at)
        self._reader.ask(key, at)
        return held

    def read(self, key: str, at: datetime) -> LivePolicy:
        """Read a policy anew, unless another thread has meanwhile."""
        before = self._policies.get(key)
        with self._guard:
            lock = self._reading.setdefault(key, threading.Lock())
        with lock:
            newer = self._policies.get(key)
            if newer is not None and newer is not before and abs(at - newer.loaded_at) < MAX_AGE:
                return newer
            bandit = Bandit.objects.select_related("pinned_arm").get(key=key)
            self._policies[key] = load(bandit, at=at)
            return self._policies[key]

    def clear(self) -> None:
        self._reader.stop()
        self._policies.clear()


class _Reader:
    """A thread that reads policies when asked to, and ends when nobody asks for a while."""

    _PATIENCE = 10.0  # seconds

    def __init__(self, read: Callable[[str, datetime], LivePolicy]) -> None:
        self._read = read
        self._wanted: dict[str, datetime] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def ask(self, key: str, at: datetime) -> None:
        """See to it that a policy is read; returns at once."""
        with self._changed:
            self._wanted[key] = at
            self._changed.notify()
            if self._thread is None or not self._thread.is_alive():  # also after a fork
                self._stopped = False
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Finish what was asked for, and wait for the end."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._stopped = True
            self._changed.notify()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            while (asked := self._next()) is not None:
                try:
                    self._read(*asked)
                except (DatabaseError, Bandit.DoesNotExist) as error:
                    # Requests that find the policy too old read it themselves and say the same.
                    logger.warning("could not read the bandit %s: %s", asked[0], error)
        finally:
            connection.close()

    def _next(self) -> tuple[str, datetime] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or self._stopped, timeout=self._PATIENCE)
            if self._wanted:
                return self._wanted.popitem()
            # Under the lock, so that whoever asks next sees that this one has ended.
            if self._thread is threading.current_thread():
                self._thread = None
            return None


_cache = _Cache()


def live_policy(bandit_key: str, *, at: datetime) -> LivePolicy:
    """Return this process's policy, at most two seconds old; read beside the request from one on.

    Raises:
        Bandit.DoesNotExist: there is no such bandit.
    """
    return _cache.get(bandit_key, at)


def forget() -> None:
    """Drop what this process holds, so that the next decision reads the database."""
    _cache.clear()
