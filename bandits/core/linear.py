"""Linear-Gaussian posterior of one arm's reward, with its noise variance estimated.

The model is the conjugate one (Bishop, Pattern Recognition and Machine Learning, 2006, exercise
3.12; Gelman et al., Bayesian Data Analysis, section 14.2): r = x'w + e, e ~ N(0, v),
w ~ N(m0, v / precision), v ~ scaled inverse chi-squared.  Precision and eta are therefore in
units of the noise, which is why they can be stored before the noise is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from bandits.core.statistics import Statistics

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearPrior:
    """What is believed of an arm before its first reward.

    Attributes:
        mean: of the weights, intercept last, shape (dim,).
        precision: of every weight, in units of the noise: the rewards that the prior is worth.
        noise_variance: best guess of the variance of a reward around its mean; 0.0625 is a
            standard deviation of a quarter.
        noise_weight: rewards that this guess is worth.
    """

    mean: Floats
    precision: float
    noise_variance: float = 0.0625
    noise_weight: float = 10.0

    def __post_init__(self) -> None:
        for name in ("precision", "noise_variance", "noise_weight"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")

    @classmethod
    def centred(cls, dim: int, *, reward: float = 0.5, precision: float = 2.0) -> LinearPrior:
        """Return the prior that expects `reward` in every context."""
        return cls(np.append(np.zeros(dim - 1), reward), precision)


@dataclass(frozen=True, eq=False)
class LinearPosterior:
    """What is believed of an arm's weights: N(mean, covariance).

    Attributes:
        precision: shape (dim, dim), in units of the noise.
        eta: precision @ mean, shape (dim,).
        mean: shape (dim,).
        covariance: noise_variance times the inverse of precision, shape (dim, dim).
        noise_variance: of one reward around its mean.
        weight: rewards remembered.
    """

    precision: Floats
    eta: Floats
    mean: Floats
    covariance: Floats
    noise_variance: float
    weight: float

    @classmethod
    def from_statistics(
        cls, statistics: Statistics, prior: LinearPrior, *, at: float
    ) -> LinearPosterior:
        """Return the posterior at time `at` (seconds since 1970).

        Decayed sums plus the whole prior is stabilised forgetting: what is forgotten of the data
        comes back of the prior, so that no direction's precision falls below the prior's.
        """
        sums = statistics.rebased(at)
        dim = sums.moment.size
        precision = sums.gram + prior.precision * np.eye(dim)
        eta = sums.moment + prior.precision * prior.mean
        factor = cho_factor(precision, lower=True)
        mean = cho_solve(factor, eta)
        misfit = sums.sum_squares + prior.precision * prior.mean @ prior.mean - mean @ eta
        degrees = prior.noise_weight + sums.weight
        # Rounding can leave a misfit of -1e-17 where every reward is explained.
        scale = prior.noise_weight * prior.noise_variance + max(float(misfit), 0.0)
        return cls(
            precision=precision,
            eta=eta,
            mean=mean,
            covariance=scale / degrees * cho_solve(factor, np.eye(dim)),
            noise_variance=scale / degrees,
            weight=sums.weight,
        )
