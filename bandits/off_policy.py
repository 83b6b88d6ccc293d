"""What another policy would have earned, from the decisions of the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from bandits.core.context import DIMENSION
from bandits.core.evaluation import Evaluation, Log, Support, ThinSupport, evaluate
from bandits.core.evaluation import modelled_rewards as model
from bandits.core.linear import LinearPosterior, LinearPrior
from bandits.core.logistic import LogisticPosterior
from bandits.core.policy import Policy, ThompsonSampling, Uniform
from bandits.core.statistics import RewardChanges, Statistics
from bandits.models import Bandit, Decision

NEWEST = 20_000
"""Decisions that an evaluation looks at, unless it is told otherwise."""

_SETTINGS = ("policy", "floor", "exploration", "prior_precision", "half_life")


@dataclass(frozen=True, eq=False)
class History:
    """Decisions whose attribution window has closed, oldest first.

    Attributes:
        arms: every arm that was eligible in any of them.
        contexts: with the intercept, shape (n, 21).
        decided: Unix seconds, shape (n,).
        eligible: which arms could be chosen, shape (n, n_arms).
        chosen: index of the chosen arm, shape (n,).
        propensities: its logged probability, shape (n,).
        rewards: shape (n,).
        listeners: any number per listener, shape (n,).
    """

    arms: tuple[str, ...]
    contexts: np.ndarray
    decided: np.ndarray
    eligible: np.ndarray
    chosen: np.ndarray
    propensities: np.ndarray
    rewards: np.ndarray
    listeners: np.ndarray

    def part(self, rows: np.ndarray) -> "History":
        """Return the decisions of a mask or of row numbers."""
        arrays = {name: value[rows] for name, value in vars(self).items() if name != "arms"}
        return History(arms=self.arms, **arrays)

    def __len__(self) -> int:
        return len(self.chosen)


def history(bandit: Bandit, *, at: datetime, newest: int = NEWEST) -> History:
    """Return the newest decisions with a final reward.

    Those still inside their window are left out, answered or not: who answers at once answers
    better than who has yet to.
    """
    rows = list(
        Decision.objects.filter(bandit=bandit)
        .settled(before=at - bandit.attribution_window)
        .order_by("-decided_at")
        .values_list(
            "context", "decided_at", "eligible", "probabilities", "arm", "reward", "listener"
        )[:newest]
    )[::-1]
    arms = tuple(sorted({arm for row in rows for arm in row[2]}))
    index = {arm: number for number, arm in enumerate(arms)}
    n = len(rows)
    contexts = np.ones((n, DIMENSION))
    eligible = np.zeros((n, len(arms)), bool)
    propensities = np.empty(n)
    for number, (context, _, names, probabilities, arm, _, _) in enumerate(rows):
        contexts[number, :-1] = context
        eligible[number, [index[name] for name in names]] = True
        propensities[number] = probabilities[names.index(arm)]
    return History(
        arms=arms,
        contexts=contexts,
        decided=np.array([row[1].timestamp() for row in rows]),
        eligible=eligible,
        chosen=np.array([index[row[4]] for row in rows], dtype=np.intp),
        propensities=propensities,
        rewards=np.array([row[5] for row in rows], dtype=np.float64),
        # Whoever was erased counts as a listener of their own.
        listeners=np.array([row[6] or -number for number, row in enumerate(rows, start=1)]),
    )


class Target(Protocol):
    """A policy to evaluate."""

    def probabilities(self, log: History) -> tuple[History, np.ndarray]:
        """Return the decisions it is evaluated on, and its probabilities there.

        A row of nought leaves the choice to the policy that made the log, as where an arm was not
        eligible.
        """
        ...


@dataclass(frozen=True)
class Always:
    """One arm wherever it is eligible, and elsewhere what the log did."""

    arm: str

    def probabilities(self, log: History) -> tuple[History, np.ndarray]:
        """Return 1 for the arm where it was eligible."""
        result = np.zeros((len(log), len(log.arms)))
        if self.arm in log.arms:
            column = log.arms.index(self.arm)
            result[:, column] = log.eligible[:, column]
        return log, result


@dataclass(frozen=True)
class UniformTarget:
    """Every eligible arm alike."""

    def probabilities(self, log: History) -> tuple[History, np.ndarray]:
        """Return 1 / n over the n eligible arms."""
        return log, log.eligible / log.eligible.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class OtherSettings:
    """The bandit with other settings, trained on the older half and evaluated on the newer.

    The split in time keeps a reward from teaching the policy that it judges.
    """

    policy: str
    floor: float
    exploration: float
    prior_precision: float
    half_life: float

    def probabilities(self, log: History) -> tuple[History, np.ndarray]:
        """Return the probabilities over the eligible arms of the newer half."""
        half = len(log) // 2
        older, newer = log.part(np.arange(half)), log.part(np.arange(half, len(log)))
        policy = self._trained(older)
        result = np.zeros((len(newer), len(log.arms)))
        for row, context in enumerate(newer.contexts):
            columns = np.flatnonzero(newer.eligible[row])
            arms = [log.arms[column] for column in columns]
            result[row, columns] = policy.distribution(context, arms).probabilities
        return newer, result

    def _trained(self, older: History) -> Policy:
        if self.policy == Bandit.PolicyKind.UNIFORM:
            return Uniform()
        at = float(older.decided[-1]) if len(older) else 0.0
        posteriors: dict[str, Any] = {}
        for column, arm in enumerate(older.arms):
            mine = older.part(older.chosen == column)
            if self.policy == Bandit.PolicyKind.LOGISTIC:
                posteriors[arm] = LogisticPosterior.fit(
                    mine.contexts,
                    mine.rewards,
                    prior_mean=np.zeros(DIMENSION),
                    prior_precision=self.prior_precision,
                    weights=np.exp2((mine.decided - at) / self.half_life),
                )
            else:
                sums = Statistics.empty(DIMENSION, reference=at, half_life=self.half_life)
                changes = RewardChanges.first(mine.contexts, mine.decided, mine.rewards)
                prior = LinearPrior.centred(DIMENSION, precision=self.prior_precision)
                posteriors[arm] = LinearPosterior.from_statistics(
                    sums.changed(changes), prior, at=at
                )
        return ThompsonSampling(posteriors, floor=self.floor, exploration=self.exploration)


def parse_target(text: str, bandit: Bandit) -> Target:
    """Return the target that `text` names.

    Either `always:ARM`, `uniform`, or settings of the bandit that differ, as in
    `exploration=0.5,floor=0.05` (policy, floor, exploration, prior_precision, half_life in days).

    Raises:
        ValueError: it is none of these.
    """
    if text == "uniform":
        return UniformTarget()
    if text.startswith("always:"):
        return Always(text.removeprefix("always:"))
    settings: dict[str, Any] = {name: getattr(bandit, name) for name in _SETTINGS[:-1]}
    settings["half_life"] = bandit.half_life_seconds
    for pair in text.split(","):
        name, _, value = pair.partition("=")
        if name not in _SETTINGS or not value:
            raise ValueError(
                f"target must be always:ARM, uniform, or NAME=VALUE with a name of "
                f"{', '.join(_SETTINGS)}; got {pair!r}"
            )
        if name == "policy":
            if value not in Bandit.PolicyKind.values:
                raise ValueError(f"policy must be of {Bandit.PolicyKind.values}, got {value!r}")
            settings[name] = value
        else:
            settings[name] = float(value) * (86_400 if name == "half_life" else 1)
    return OtherSettings(**settings)


def off_policy(
    log: History,
    target: Target,
    rng: np.random.Generator,
    *,
    support: Support | None = None,
    n_resamples: int = 2000,
    modelled: np.ndarray | None = None,
) -> Evaluation:
    """Return what the log says of the target.

    Args:
        log: from `history`.
        target: the policy in question.
        rng: draws the bootstrap.
        support: what the log must have.
        n_resamples: of the bootstrap.
        modelled: `modelled_rewards(log)`, where several targets share it.

    Raises:
        ThinSupport: the log does not say enough, and why.
    """
    if modelled is None:
        modelled = modelled_rewards(log)
    used, probabilities = target.probabilities(log)
    if not len(used):
        raise ThinSupport("no decision has a final reward yet")
    return evaluate(
        Log(
            chosen=used.chosen,
            rewards=used.rewards,
            propensities=used.propensities,
            target=probabilities,
            modelled=modelled[len(log) - len(used) :],
            listeners=used.listeners,
        ),
        rng,
        support=support,
        n_resamples=n_resamples,
    )


def modelled_rewards(log: History) -> np.ndarray:
    """Return each arm's modelled reward in each decision, shape (n, n_arms), cross-fitted."""
    if len(log) == 0:
        return np.zeros((0, len(log.arms)))
    return model(log.contexts, log.chosen, log.rewards, log.listeners, n_arms=len(log.arms))


def targets_of(arms: Sequence[str]) -> dict[str, Target]:
    """Return every arm as a target of its own."""
    return {arm: Always(arm) for arm in arms}
