"""A policy tried on a simulated world, where every arm's true reward is known."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bandits.core.context import with_intercept
from bandits.core.linear import LinearPosterior, LinearPrior
from bandits.core.logistic import LogisticPosterior
from bandits.core.policy import Policy, Posterior, ThompsonSampling, Uniform
from bandits.core.probabilities import draw, nonce
from bandits.core.statistics import RewardChanges, Statistics
from bandits.core.worlds import World

Floats = NDArray[np.float64]
Kind = Literal["linear", "logistic", "uniform"]


@dataclass(frozen=True)
class Settings:
    """How a policy is set; the fields are those of a bandit.

    Attributes:
        policy: linear, logistic or uniform.
        floor: least probability of an arm.
        exploration: factor on the standard deviations.
        prior_precision: rewards that the prior is worth.
        half_life: rounds after which a reward counts half; the logistic policy does not forget
            here.
        every: rounds between two looks at the rewards.

    Raises:
        ValueError: a setting that no policy can have.
    """

    policy: Kind = "linear"
    floor: float = 0.02
    exploration: float = 0.1
    prior_precision: float = 2.0
    half_life: float = np.inf
    every: int = 20

    def __post_init__(self) -> None:
        """Refuse what would make no policy."""
        for name in ("exploration", "prior_precision", "half_life", "every"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if not 0 <= self.floor <= 1:
            raise ValueError(f"floor must be in [0, 1], got {self.floor}")


@dataclass(frozen=True, eq=False)
class Trial:
    """What came of it.

    Attributes:
        played: the arm of each round, shape (n,).
        regret: of each round, shape (n,).
        was_best: whether the arm played had the largest expected reward, shape (n,).
    """

    played: NDArray[np.intp]
    regret: Floats
    was_best: NDArray[np.bool_]


def play(world: World, settings: Settings) -> Trial:
    """Let a policy choose in every round; rewards come in batches, as the worker brings them."""
    contexts = with_intercept(world.contexts)
    n, n_arms = world.rewards.shape
    arms = tuple(str(arm) for arm in range(n_arms))
    dim = contexts.shape[1]
    sums = [Statistics.empty(dim, reference=0.0, half_life=settings.half_life) for _ in arms]
    played = np.zeros(n, np.intp)
    live: Policy = Uniform()
    for now, context in enumerate(contexts):
        if now and now % settings.every == 0 and settings.policy != "uniform":
            late = np.arange(now - settings.every, now)
            posteriors: dict[str, Posterior] = {}
            for arm, key in enumerate(arms):
                mine = late[played[late] == arm]
                changes = RewardChanges.first(
                    contexts[mine], mine.astype(float), world.rewards[mine, arm]
                )
                sums[arm] = sums[arm].changed(changes)
                prior = LinearPrior.centred(dim, precision=settings.prior_precision)
                if settings.policy == "linear":
                    posteriors[key] = LinearPosterior.from_statistics(
                        sums[arm], prior, at=float(now)
                    )
                    continue
                mine = np.flatnonzero(played[:now] == arm)
                posteriors[key] = LogisticPosterior.fit(
                    contexts[mine],
                    np.clip(world.rewards[mine, arm], 0, 1),
                    prior_mean=np.zeros(dim),
                    prior_precision=settings.prior_precision,
                )
            live = ThompsonSampling(
                posteriors, floor=settings.floor, exploration=settings.exploration
            )
        distribution = live.distribution(context, arms)
        played[now] = draw(distribution.probabilities, nonce("world", uuid.UUID(int=now)))
    regret = world.gaps[np.arange(n), played]
    return Trial(played, regret, regret == 0)
