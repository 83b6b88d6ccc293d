"""Bayesian logistic regression by Laplace's approximation, for rewards of 0 or 1.

Chapelle and Li (NeurIPS 2011) use it with a diagonal Hessian; here the Hessian is whole.  As the
sigmoid is monotone, the arm with the largest log-odds has the largest reward rate, so the exact
probabilities of normal scores hold for the log-odds too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, logit

Floats = NDArray[np.float64]

_SUREST_RATE = 0.95
"""As a start no arm is expected to earn more than this, or less than its complement: log-odds have
no bound, and a linear mean may even lie outside [0, 1]."""


def log_odds_of(weights: Floats) -> Floats:
    """Return the weights of log-odds that expect what these expect of a linear reward.

    The same where every feature is 0 (unknown), and to first order around it; intercept last.
    """
    rate = float(np.clip(weights[-1], 1 - _SUREST_RATE, _SUREST_RATE))
    return np.append(weights[:-1] / (rate * (1 - rate)), logit(rate))


def rates_of(weights: Floats) -> Floats:
    """Return the weights of a linear reward that expect what these log-odds do; see above."""
    rate = float(expit(weights[-1]))
    return np.append(weights[:-1] * rate * (1 - rate), rate)


@dataclass(frozen=True, eq=False)
class LogisticPosterior:
    """What is believed of an arm's weights on the log-odds scale: N(mean, covariance).

    Attributes:
        mean: the posterior's mode, shape (dim,).
        covariance: inverse Hessian of the negative log posterior there, shape (dim, dim).
    """

    mean: Floats
    covariance: Floats

    @classmethod
    def fit(
        cls,
        contexts: Floats,
        rewards: Floats,
        *,
        prior_mean: Floats,
        prior_precision: float,
        weights: Floats | None = None,
        start: Floats | None = None,
        max_steps: int = 50,
    ) -> LogisticPosterior:
        """Return the posterior by Newton's method, halving a step that does not descend.

        Args:
            contexts: with the intercept, shape (n, dim).
            rewards: shape (n,), in [0, 1]; a fraction counts as that share of a success.
            prior_mean: shape (dim,).
            prior_precision: of every weight, > 0.
            weights: of each reward, shape (n,), for forgetting; 1 by default.
            start: where Newton begins, for example the last mode; prior mean by default.
            max_steps: Newton steps before giving up.

        Raises:
            ValueError: a reward is outside [0, 1], the precision is not positive, or Newton's
                method has not converged (which a positive prior precision rules out in theory).
        """
        if not prior_precision > 0:
            raise ValueError(f"prior_precision must be > 0, got {prior_precision}")
        if rewards.size and not (rewards.min() >= 0 and rewards.max() <= 1):
            raise ValueError(f"rewards must be in [0, 1], got {rewards.min()} to {rewards.max()}")
        if weights is None:
            weights = np.ones(len(rewards))

        def loss(mean: Floats) -> float:
            odds = contexts @ mean
            shift = mean - prior_mean
            fit = weights @ (np.logaddexp(0.0, odds) - rewards * odds)
            return float(fit + 0.5 * prior_precision * shift @ shift)

        mean = prior_mean.copy() if start is None else start.copy()
        current = loss(mean)
        for _ in range(max_steps):
            rates = expit(contexts @ mean)
            gradient = contexts.T @ (weights * (rates - rewards))
            gradient += prior_precision * (mean - prior_mean)
            hessian = (contexts.T * (weights * rates * (1 - rates))) @ contexts
            hessian[np.diag_indices_from(hessian)] += prior_precision
            factor = cho_factor(hessian, lower=True)
            step = cho_solve(factor, gradient)
            if np.abs(step).max() < 1e-9 * max(1.0, np.abs(mean).max()):
                covariance = cho_solve(factor, np.eye(mean.size))
                return cls(mean=mean - step, covariance=covariance)
            size = 1.0
            while (following := loss(mean - size * step)) > current and size > 1e-6:
                size /= 2
            mean = mean - size * step
            current = following
        raise ValueError(f"Newton's method did not converge in {max_steps} steps")
