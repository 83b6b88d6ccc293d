"""Off-policy evaluation: what another policy would have earned, from logged decisions.

Every estimator is a function of sums over decisions, so a bootstrap over listeners only has to
weigh each listener's sums anew.  With w = pi_e / pi_b, the ratio of the target's to the logged
probability of the chosen arm, and q the modelled reward (names and formulas as in Saito et al.,
Open Bandit Pipeline, NeurIPS 2021):

========== =======================================================================
IPS        mean of min(w, clip) r  (Horvitz and Thompson 1952)
SNIPS      sum of w r / sum of w  (Swaminathan and Joachims 2015)
DM         mean of q(x, pi_e)
DR         mean of q(x, pi_e) + w (r - q)  (Dudik et al. 2011)
SNDR       the same with w / mean w
SWITCH-DR  DR with w set to 0 where w > switch  (Wang et al. 2017)
DRos       DR with w replaced by shrink w / (w^2 + shrink)  (Su et al. 2020)
========== =======================================================================

A target may leave some decisions to the policy that made the log, as one arm does where it is not
eligible.  What it would have earned there is known, being what was earned: w = 1 and q = r.  So
targets that leave different decisions are all valued over the same ones, and can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandits.core.intervals import asymptotic_half_width

Floats = NDArray[np.float64]

ESTIMATORS = ("IPS", "SNIPS", "DM", "DR", "SNDR", "SWITCH-DR", "DRos")


class ThinSupport(ValueError):
    """The log cannot answer the question; the message says why."""


@dataclass(frozen=True, eq=False)
class Log:
    """Decisions with their final rewards.

    Attributes:
        chosen: index of the chosen arm, shape (n,).
        rewards: shape (n,).
        propensities: logged probability of the chosen arm, shape (n,), in (0, 1].
        target: the target policy's probabilities, shape (n, n_arms); a row sums to 1, or is 0
            where the target leaves the choice to the policy that made the log.
        modelled: modelled reward of each arm, shape (n, n_arms).
        listeners: any integer per listener, shape (n,); decisions of one are not independent.
    """

    chosen: NDArray[np.intp]
    rewards: Floats
    propensities: Floats
    target: Floats
    modelled: Floats
    listeners: NDArray[np.intp]

    def __post_init__(self) -> None:
        n = len(self.chosen)
        if not len(self.rewards) == len(self.propensities) == len(self.listeners) == n or not (
            self.target.shape == self.modelled.shape and len(self.target) == n
        ):
            raise ValueError("every array must have one row per decision")
        if n == 0:
            raise ValueError("there is no decision to evaluate on")
        if not (self.propensities.min() > 0 and self.propensities.max() <= 1 + 1e-12):
            raise ValueError(
                "propensities must be in (0, 1], got "
                f"{self.propensities.min()} to {self.propensities.max()}"
            )
        sums = self.target.sum(axis=1)
        if self.target.min() < 0 or np.minimum(np.abs(sums - 1), sums).max() > 1e-9:
            raise ValueError("each row of target must be probabilities that sum to 1, or all 0")

    @property
    def decides(self) -> NDArray[np.bool_]:
        """Which decisions the target does not leave to the policy that made the log, shape (n,)."""
        return np.asarray(self.target.any(axis=1))

    @property
    def weights(self) -> Floats:
        """Importance weights w, shape (n,), >= 0."""
        rows = np.arange(len(self.chosen))
        ratios = self.target[rows, self.chosen] / self.propensities
        return np.where(self.decides, ratios, 1.0)


@dataclass(frozen=True)
class Estimate:
    """One estimator's answer.

    Attributes:
        value: expected reward per decision under the target policy.
        low: lower end of the bootstrap interval over listeners.
        high: its upper end.
        anytime: half-width of the interval that may be looked at any time, around `value`.
    """

    value: float
    low: float
    high: float
    anytime: float


@dataclass(frozen=True)
class Evaluation:
    """What the log says of a target policy.

    Attributes:
        estimates: by name, see `ESTIMATORS`.
        n: decisions.
        left_out: those of them that the target leaves to the policy that made the log.
        n_listeners: among whom the bootstrap draws.
        effective_sample_size: (sum w)^2 / sum w^2 (Kish 1965) of the others, at most their number.
        largest_weight: the largest w among the others.
        logged_mean: mean reward of the log, that is of the policy that made it.
        advantages: each estimate minus the logged mean, with intervals of that difference.
    """

    estimates: Mapping[str, Estimate]
    advantages: Mapping[str, Estimate]
    n: int
    left_out: int
    n_listeners: int
    effective_sample_size: float
    largest_weight: float
    logged_mean: float


@dataclass(frozen=True)
class Support:
    """What a log must have before an evaluation is worth showing.

    Only decisions that the target does not leave to the policy that made the log count.

    Attributes:
        decisions: at least this many.
        listeners: at least this many; a bootstrap over few is too narrow.
        effective_sample_size: at least this.
        largest_share: no decision may hold more than this share of all weight.
    """

    decisions: int = 100
    listeners: int = 20
    effective_sample_size: float = 50.0
    largest_share: float = 0.1

    def check(self, log: Log) -> None:
        """Raise ThinSupport with the first reason that applies."""
        decides = log.decides
        weights = log.weights[decides]
        n_listeners = len(np.unique(log.listeners[decides]))
        if len(weights) < self.decisions:
            raise ThinSupport(
                f"{len(weights)} of {len(decides)} decisions with a final reward left the target "
                f"a choice, {self.decisions} needed"
            )
        if n_listeners < self.listeners:
            raise ThinSupport(f"{n_listeners} listeners, {self.listeners} needed")
        if not weights.any():
            raise ThinSupport("no logged decision could have been the target policy's")
        effective = effective_sample_size(weights)
        if effective < self.effective_sample_size:
            raise ThinSupport(
                f"the log is worth {effective:.1f} decisions of the target policy, "
                f"{self.effective_sample_size:g} needed"
            )
        share = float(weights.max() / weights.sum())
        if share > self.largest_share:
            raise ThinSupport(
                f"one decision holds {share:.0%} of the weight, "
                f"at most {self.largest_share:.0%} allowed"
            )


def effective_sample_size(weights: Floats) -> float:
    """Return (sum w)^2 / sum w^2, the number of unweighted decisions worth as much; 0 for none."""
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def estimates(
    log: Log, *, clip: float = math.inf, switch: float = 10.0, shrink: float = 100.0
) -> dict[str, float]:
    """Return each estimator's value; `clip`, `switch` and `shrink` are bounds on w, > 0."""
    sums = _contributions(log, clip=clip, switch=switch, shrink=shrink).sum(axis=0)
    return {name: float(value) for name, value in _values(sums).items()}


def evaluate(
    log: Log,
    rng: np.random.Generator,
    *,
    support: Support | None = None,
    n_resamples: int = 2000,
    alpha: float = 0.05,
    clip: float = math.inf,
    switch: float = 10.0,
    shrink: float = 100.0,
) -> Evaluation:
    """Return every estimate with its intervals.

    Args:
        log: the decisions.
        rng: draws the resamples.
        support: what the log must have; the defaults of `Support` where not given.
        n_resamples: of the percentile bootstrap over listeners.
        alpha: 1 - coverage.
        clip: largest w of IPS.
        switch: w above which SWITCH-DR trusts the model.
        shrink: DRos's lambda; larger is nearer to DR.

    Raises:
        ThinSupport: the log does not say enough about the target.
    """
    (support or Support()).check(log)
    contributions = _contributions(log, clip=clip, switch=switch, shrink=shrink)
    names, cluster = np.unique(log.listeners, return_inverse=True)
    n_listeners = len(names)
    by_listener = np.zeros((n_listeners, contributions.shape[1]))
    np.add.at(by_listener, cluster, contributions)
    resampled = _resampled(by_listener, rng, n_resamples)
    total = by_listener.sum(axis=0)
    without = total - by_listener  # each row leaves one listener out, for the jackknife
    found: list[dict[str, Estimate]] = []
    for combine in (_values, _advantages):
        whole, drawn, left = combine(total), combine(resampled), combine(without)
        found.append({})
        for name, value in whole.items():
            low, high = np.quantile(drawn[name], [alpha / 2, 1 - alpha / 2])
            influence = (n_listeners - 1) * (value - left[name])
            anytime = asymptotic_half_width(
                n=n_listeners, variance=float(np.var(influence)), alpha=alpha
            )
            found[-1][name] = Estimate(float(value), float(low), float(high), anytime)
    weights = log.weights[log.decides]
    return Evaluation(
        estimates=found[0],
        advantages=found[1],
        n=len(log.rewards),
        left_out=len(log.rewards) - len(weights),
        n_listeners=n_listeners,
        effective_sample_size=effective_sample_size(weights),
        largest_weight=float(weights.max()),
        logged_mean=float(log.rewards.mean()),
    )


def _contributions(log: Log, *, clip: float, switch: float, shrink: float) -> Floats:
    """Return one row per decision of the columns that `_values` combines."""
    if not (clip > 0 and switch > 0 and shrink > 0):
        raise ValueError(f"clip, switch and shrink must be > 0, got {clip}, {switch} and {shrink}")
    w, decides = log.weights, log.decides
    rows = np.arange(len(w))
    surprise = np.where(decides, log.rewards - log.modelled[rows, log.chosen], 0.0)
    modelled = np.where(decides, (log.target * log.modelled).sum(axis=1), log.rewards)
    return np.column_stack(
        [
            np.ones_like(w),
            np.minimum(w, clip) * log.rewards,
            w,
            w * log.rewards,
            modelled,
            w * surprise,
            np.where(w <= switch, w, 0.0) * surprise,
            shrink * w / (w**2 + shrink) * surprise,
            log.rewards,
        ]
    )


def _values(sums: Floats) -> dict[str, Floats]:
    """Return each estimator from sums of the columns of `_contributions`, shape (..., 9)."""
    n, clipped, w, weighted, modelled, correction, switched, shrunk, _ = np.moveaxis(sums, -1, 0)
    # Without any weight there is nothing to normalize by; such a resample answers 0 corrections.
    total = np.where(w > 0, w, 1.0)
    return {
        "IPS": np.asarray(clipped / n),
        "SNIPS": np.asarray(weighted / total),
        "DM": np.asarray(modelled / n),
        "DR": np.asarray((modelled + correction) / n),
        "SNDR": np.asarray(modelled / n + correction / total),
        "SWITCH-DR": np.asarray((modelled + switched) / n),
        "DRos": np.asarray((modelled + shrunk) / n),
    }


def _advantages(sums: Floats) -> dict[str, Floats]:
    """Return each estimator minus the mean reward of the log."""
    logged = sums[..., -1] / sums[..., 0]
    return {name: np.asarray(value - logged) for name, value in _values(sums).items()}


def _resampled(by_listener: Floats, rng: np.random.Generator, n_resamples: int) -> Floats:
    """Return the sums over `n_resamples` draws of as many listeners, with replacement."""
    n_listeners = len(by_listener)
    sums = np.empty((n_resamples, by_listener.shape[1]))
    for resample in range(n_resamples):  # one row at a time: listeners x resamples may be large
        times = np.bincount(rng.integers(n_listeners, size=n_listeners), minlength=n_listeners)
        sums[resample] = times @ by_listener
    return sums


def modelled_rewards(
    contexts: Floats,
    chosen: NDArray[np.intp],
    rewards: Floats,
    listeners: NDArray[np.intp],
    *,
    n_arms: int,
    precision: float = 5.0,
    n_folds: int = 5,
) -> Floats:
    """Return q: a ridge regression per arm, fitted on other listeners than it is used for.

    Cross-fitting by listener keeps DR unbiased: a reward never predicts itself.

    Args:
        contexts: with the intercept, shape (n, dim).
        chosen: index of the chosen arm, shape (n,).
        rewards: shape (n,).
        listeners: shape (n,).
        n_arms: columns of the result.
        precision: ridge penalty on the difference from the mean reward, > 0.
        n_folds: parts into which listeners fall.

    Returns:
        shape (n, n_arms).
    """
    n, dim = contexts.shape
    names, cluster = np.unique(listeners, return_inverse=True)
    fold = cluster % min(n_folds, max(len(names), 1))
    modelled = np.empty((n, n_arms))
    for part in np.unique(fold):
        held_out = fold == part
        train = ~held_out if (~held_out).any() else held_out
        mean = rewards[train].mean()
        for arm in range(n_arms):
            mine = train & (chosen == arm)
            x = contexts[mine]
            gram = x.T @ x + precision * np.eye(dim)
            weights = np.linalg.solve(gram, x.T @ (rewards[mine] - mean))
            modelled[held_out, arm] = mean + contexts[held_out] @ weights
    return modelled
