"""Posterior of a lift under a normal prior: chance to win and risk."""

from dataclasses import dataclass
from math import exp, pi, sqrt

from scipy import special

from experiments.core.effects import Lift
from experiments.core.intervals import Interval


@dataclass(frozen=True)
class NormalPrior:
    """Prior of a relative lift (unitless).  An infinite variance is the improper flat prior."""

    mean: float = 0.0
    variance: float = float("inf")


@dataclass(frozen=True)
class Posterior:
    """Normal posterior of a lift, in the lift's unit."""

    mean: float
    sd: float

    def interval(self, *, alpha: float = 0.05) -> tuple[float, float]:
        """Return the central credible interval of probability 1 - `alpha`."""
        half = float(special.ndtri(1 - alpha / 2)) * self.sd
        return self.mean - half, self.mean + half

    def chance_to_win(self, *, higher_is_better: bool = True) -> float:
        """Return the probability, in [0, 1], that the treatment is the better one."""
        above = float(special.ndtr(self.mean / self.sd))
        return above if higher_is_better else 1 - above

    def risk(self, *, higher_is_better: bool = True) -> tuple[float, float]:
        """Return the expected loss of choosing (control, treatment), in the lift's unit, >= 0."""
        ratio = self.mean / self.sd
        if abs(ratio) > 37:  # the tail's density underflows; its expectation is exact without it
            gain = max(self.mean, 0.0)
        else:
            density = exp(-(ratio**2) / 2) / sqrt(2 * pi)
            gain = self.mean * float(special.ndtr(ratio)) + self.sd * density
        loss = gain - self.mean
        return (gain, loss) if higher_is_better else (loss, gain)


def posterior(lift: Lift, prior: NormalPrior | None = None) -> Posterior:
    """Return the posterior of `lift`; for an absolute one the prior is scaled by |control|.

    Raises:
        ValueError: the prior's variance is not positive.
    """
    prior = prior or NormalPrior()
    if not prior.variance > 0:
        raise ValueError(f"a prior's variance must be > 0, got {prior.variance}")
    scale = 1.0 if lift.relative else abs(lift.control)
    precision = 1 / (prior.variance * scale**2) if scale > 0 else 0.0
    variance = 1 / (precision + 1 / lift.se**2)
    mean = variance * (prior.mean * scale * precision + lift.estimate / lift.se**2)
    return Posterior(mean=mean, sd=sqrt(variance))


def credible_interval(lift: Lift, prior: NormalPrior | None = None, *, alpha: float) -> Interval:
    """Return the credible interval as an `Interval`; its p-value is the smaller tail, doubled."""
    belief = posterior(lift, prior)
    low, high = belief.interval(alpha=alpha)
    chance = belief.chance_to_win()
    return Interval(low, high, 2 * min(chance, 1 - chance))
