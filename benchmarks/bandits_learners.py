"""The bandit, its baselines and three libraries behind one interface, for `benchmarks.bandits`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bandits.core.linear import LinearPosterior, LinearPrior
from bandits.core.logistic import LogisticPosterior
from bandits.core.policy import ThompsonSampling, Uniform
from bandits.core.probabilities import draw, nonce, with_floor
from bandits.core.statistics import RewardChanges, Statistics

Floats = NDArray[np.float64]

N_ARMS = 5
N_FEATURES = 20
NOISE_SD = 0.25
ARMS = tuple(str(arm) for arm in range(N_ARMS))


def half_life(rounds: int) -> float:
    """Return the half-life, in rounds, of those that forget in the drifting world."""
    return rounds / 8


class Learner(Protocol):
    """One way to choose arms and learn from rewards."""

    def choose(self, context: Floats) -> int:
        """Return the arm to play, in 0 .. 4."""
        ...

    def learn(self, context: Floats, arm: int, reward: float) -> None:
        """Take in the reward of the last choice."""
        ...


class Ours:
    """`ThompsonSampling` with its defaults over linear posteriors, read after every reward."""

    def __init__(self, *, floor: float = 0.0, forget: float = np.inf) -> None:
        self.floor = floor
        self.round = 0
        dim = N_FEATURES + 1
        self.sums = [Statistics.empty(dim, reference=0.0, half_life=forget) for _ in ARMS]
        self.prior = LinearPrior.centred(dim)
        self.posteriors = {name: self._posterior(arm) for arm, name in enumerate(ARMS)}
        self.policy = ThompsonSampling(self.posteriors, floor=self.floor)

    def _posterior(self, arm: int) -> LinearPosterior:
        at = float(self.round)
        return LinearPosterior.from_statistics(self.sums[arm], self.prior, at=at)

    def choose(self, context: Floats) -> int:
        """Draw from the exact probabilities."""
        distribution = self.policy.distribution(np.append(context, 1.0), ARMS)
        return draw(distribution.probabilities, nonce("benchmark", uuid.UUID(int=self.round)))

    def learn(self, context: Floats, arm: int, reward: float) -> None:
        """Add to the arm's sums and read all posteriors anew."""
        changes = RewardChanges.first(
            np.append(context, 1.0)[None], np.array([float(self.round)]), np.array([reward])
        )
        self.sums[arm] = self.sums[arm].changed(changes)
        self.round += 1
        # What is not forgotten does not change with time: one posterior is new.
        for row in range(N_ARMS) if np.isfinite(self.sums[arm].half_life) else (arm,):
            self.posteriors[ARMS[row]] = self._posterior(row)
        self.policy = ThompsonSampling(self.posteriors, floor=self.floor)


class OursLogistic:
    """`ThompsonSampling` with its defaults over Laplace posteriors, refitted after each reward."""

    def __init__(self, *, floor: float = 0.0) -> None:
        self.floor = floor
        self.round = 0
        self.seen: list[tuple[list[Floats], list[float]]] = [([], []) for _ in ARMS]
        self.prior = np.zeros(N_FEATURES + 1)
        untried = LogisticPosterior(self.prior, np.eye(self.prior.size) / 2.0)
        self.fits = dict.fromkeys(ARMS, untried)

    def choose(self, context: Floats) -> int:
        """Draw from the exact probabilities."""
        policy = ThompsonSampling(self.fits, floor=self.floor)
        distribution = policy.distribution(np.append(context, 1.0), ARMS)
        return draw(distribution.probabilities, nonce("benchmark", uuid.UUID(int=self.round)))

    def learn(self, context: Floats, arm: int, reward: float) -> None:
        """Refit the arm from the mode that it had."""
        contexts, rewards = self.seen[arm]
        contexts.append(np.append(context, 1.0))
        rewards.append(reward)
        self.round += 1
        self.fits[ARMS[arm]] = LogisticPosterior.fit(
            np.array(contexts),
            np.array(rewards),
            prior_mean=self.prior,
            prior_precision=2.0,
            start=self.fits[ARMS[arm]].mean,
        )


class UniformLearner:
    """Any arm."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.policy = Uniform()

    def choose(self, context: Floats) -> int:
        """Ask it for an arm."""
        return draw(self.policy.distribution(context, ARMS).probabilities, self.rng.random())

    def learn(self, context: Floats, arm: int, reward: float) -> None:
        """Learn nothing."""


class EpsilonGreedy(Ours):
    """The largest mean of the same posteriors, but any arm in one round of ten: a floor of 0.02."""

    def __init__(self, seed: int, forget: float) -> None:
        super().__init__(forget=forget)
        self.rng = np.random.default_rng(seed)

    def choose(self, context: Floats) -> int:
        """Ask it for an arm."""
        if self.rng.random() < 0.1:
            return int(self.rng.integers(N_ARMS))
        means, _ = self.policy.scores(np.append(context, 1.0), ARMS)
        return int(np.argmax(means))


class Floored:
    """A learner whose choice gives way to any arm as often as a floor asks for."""

    def __init__(self, seed: int, learner: Learner, floor: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.learner = learner
        self.share = N_ARMS * floor

    def choose(self, context: Floats) -> int:
        """Ask it for an arm, and take another one now and then."""
        arm = self.learner.choose(context)
        return int(self.rng.integers(N_ARMS)) if self.rng.random() < self.share else arm

    def learn(self, context: Floats, arm: int, reward: float) -> None:
        """Hand on the reward of the arm that was played."""
        self.learner.learn(context, arm, reward)


class Mabwiser:
    """MABWiser's LinTS; `alpha` is its sd of the noise."""

    def __init__(self, seed: int, alpha: float) -> None:
        from mabwiser.mab import MAB, LearningPolicy

        self.bandit = MAB(list(range(N_ARMS)), LearningPolicy.LinTS(alpha, 1.0), seed=seed)
        zeros = np.zeros((N_ARMS, N_FEATURES + 1))
        # It refuses to predict before a fit; a null context with reward 0 teaches nothing.
        self.bandit.fit(list(range(N_ARMS)), [0.0] * N_ARMS, zeros)

    def choose(self, context: Floats) -> int:
        """Ask it for an arm."""
        return int(self.bandit.predict([np.append(context, 1.0)]))

    def learn(self, context: Floats, arm: int, reward: float) -> None:
        """Hand it the reward."""
        self.bandit.partial_fit([arm], [reward], [np.append(context, 1.0)])


class VowpalWabbit:
    """cb_explore_adf over context by arm interactions; the cost is 1 - reward."""

    def __init__(self, seed: int, flags: str, floor: float) -> None:
        import vowpalwabbit

        self.floor = floor
        self.workspace = vowpalwabbit.Workspace(
            f"--cb_explore_adf {flags} --interactions sa --ignore_linear s --quiet "
            f"--random_seed {seed + 1}"
        )
        self.rng = np.random.default_rng(seed)
        self.last = (0, 0.0)

    @staticmethod
    def _lines(context: Floats, label: str = "", arm: int = -1) -> list[str]:
        shared = "shared |s " + " ".join(f"f{i}:{value:.6f}" for i, value in enumerate(context))
        shared += " bias:1"
        return [shared] + [f"{label if a == arm else ''}|a arm{a}" for a in range(N_ARMS)]

    def choose(self, context: Floats) -> int:
        """Ask it for an arm."""
        predicted = np.array(self.workspace.predict(self._lines(context)))
        # Its label needs the probability that was played, so the floor is mixed in here.
        probabilities = with_floor(predicted / predicted.sum(), self.floor)
        arm = draw(probabilities, self.rng.random())
        self.last = (arm, float(probabilities[arm]))
        return arm

    def learn(self, context: Floats, arm: int, reward: float) -> None:
        """Hand it the reward."""
        label = f"0:{1 - reward:.6f}:{self.last[1]:.6f} "
        self.workspace.learn(self._lines(context, label, arm))


class BayesianBandits:
    """bayesianbandits' ContextualAgent with Thompson sampling over a learner per arm."""

    def __init__(self, seed: int, learner: Callable[[], object], rate: float = 1.0) -> None:
        import bayesianbandits

        self.rate = rate
        arms = [bayesianbandits.Arm(arm, learner=learner()) for arm in range(N_ARMS)]
        self.agent = bayesianbandits.ContextualAgent(
            arms, bayesianbandits.ThompsonSampling(), random_seed=seed
        )

    def choose(self, context: Floats) -> int:
        """Ask it for an arm."""
        (arm,) = self.agent.pull(np.append(context, 1.0)[None])
        return int(arm)

    def learn(self, context: Floats, arm: int, reward: float) -> None:
        """Hand it the reward."""
        self.agent.select_for_update(arm).update(np.append(context, 1.0)[None], np.array([reward]))
        if self.rate < 1:
            import bayesianbandits

            self.agent.decay(bayesianbandits.StabilizedForgetting(self.rate))


def learners(world: str, rounds: int, floor: float) -> dict[str, Callable[[int], Learner]]:
    """Return how to make each learner of a world from a seed, with a floor under every arm."""
    forget = half_life(rounds) if world == "drifting" else np.inf
    rate = float(0.5 ** (1 / forget))

    def bayesian(kind: str, **settings: float) -> Callable[[int], Learner]:
        import bayesianbandits

        learner = getattr(bayesianbandits, kind)
        return lambda seed: BayesianBandits(seed, lambda: learner(**settings), rate)

    libraries: dict[str, Callable[[int], Learner]] = {
        "mabwiser LinTS alpha 1": lambda seed: Mabwiser(seed, 1.0),
        "mabwiser LinTS alpha 0.25": lambda seed: Mabwiser(seed, NOISE_SD),
        # Greedier than Thompson's rule, as musicrec's default is.
        "mabwiser LinTS alpha 0.05": lambda seed: Mabwiser(seed, 0.2 * NOISE_SD),
        "bayesianbandits normal": bayesian("NormalRegressor", alpha=1.0, beta=1 / NOISE_SD**2),
        "bayesianbandits emp. Bayes": bayesian(
            "EmpiricalBayesNormalRegressor", alpha=1.0, beta=1.0
        ),
    }
    if world == "logistic":
        libraries["bayesianbandits GLM"] = bayesian("BayesianGLM", alpha=1.0)

    def floored(make: Callable[[int], Learner]) -> Callable[[int], Learner]:
        return make if not floor else lambda seed: Floored(seed, make(seed), floor)

    made: dict[str, Callable[[int], Learner]] = {
        "musicrec": lambda seed: Ours(forget=forget, floor=floor),
        "uniform": UniformLearner,
        "epsilon-greedy 0.1": lambda seed: EpsilonGreedy(seed, forget=forget),
        "vw squarecb": lambda seed: VowpalWabbit(seed, "--squarecb", floor),
        **{name: floored(make) for name, make in libraries.items()},
    }
    if world == "logistic":
        made = {"musicrec logistic": lambda seed: OursLogistic(floor=floor)} | made
    return made
