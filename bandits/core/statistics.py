"""What an arm remembers: sums over its rewarded decisions, from which any posterior follows.

The sums are kept without noise or prior, which are applied when a posterior is read.  So a reward
may arrive late, be corrected or withdrawn, in any order and any number of times, and the sums end
where they would be had only the last value of each ever been seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Weights are relative to `reference`; past this many half-lives the reference moves, long before
# 2 ** exponent could overflow.
_HALF_LIVES_BEFORE_REBASE = 32.0


@dataclass(frozen=True, eq=False)
class RewardChanges:
    """Rewards that changed, one row per decision; NaN stands for "no reward".

    Attributes:
        contexts: with the intercept, shape (n, dim).
        decided: when each decision was taken, in seconds since 1970, shape (n,).
        before: the reward already counted, shape (n,).
        after: the reward that is now true, shape (n,).
    """

    contexts: Floats
    decided: Floats
    before: Floats
    after: Floats

    def __post_init__(self) -> None:
        n = self.contexts.shape[0]
        if self.contexts.ndim != 2 or not (
            self.decided.shape == self.before.shape == self.after.shape == (n,)
        ):
            raise ValueError(
                "contexts must have shape (n, dim) and the rest (n,), got "
                f"{self.contexts.shape}, {self.decided.shape}, {self.before.shape}, "
                f"{self.after.shape}"
            )
        if not (np.isfinite(self.contexts).all() and np.isfinite(self.decided).all()):
            raise ValueError("contexts and times of decision must be finite")

    @classmethod
    def first(cls, contexts: Floats, decided: Floats, rewards: Floats) -> RewardChanges:
        """Return the changes that credit `rewards` to decisions that had none."""
        return cls(contexts, decided, np.full(len(rewards), np.nan), rewards)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Decayed sums over the rewarded decisions of one arm.

    A decision taken at time t has weight 2 ** ((t - reference) / half_life); reading at time
    `at` multiplies everything by 2 ** ((reference - at) / half_life).  A decision's weight
    depends on its own time alone, never on when its reward arrived.

    Attributes:
        gram: weighted sum of x x', shape (dim, dim).
        moment: weighted sum of x r, shape (dim,).
        sum_squares: weighted sum of r ** 2.
        weight: sum of the weights, the number of rewards still remembered.
        count: rewards counted, without decay.
        reference: seconds since 1970.
        half_life: seconds, > 0; infinite where nothing is forgotten.
    """

    gram: Floats
    moment: Floats
    sum_squares: float
    weight: float
    count: int
    reference: float
    half_life: float

    def __post_init__(self) -> None:
        if not self.half_life > 0:
            raise ValueError(f"half_life must be > 0 seconds, got {self.half_life}")

    @classmethod
    def empty(cls, dim: int, *, reference: float, half_life: float = np.inf) -> Statistics:
        """Return the sums over no decision."""
        return cls(np.zeros((dim, dim)), np.zeros(dim), 0.0, 0.0, 0, reference, half_life)

    def changed(self, changes: RewardChanges) -> Statistics:
        """Return the sums after `changes`; equal, up to rounding, in whatever order they come."""
        if changes.contexts.shape[1] != self.moment.size:
            raise ValueError(
                f"contexts have {changes.contexts.shape[1]} columns, the sums {self.moment.size}"
            )
        if len(changes.decided) == 0:
            return self
        newest = float(changes.decided.max())
        if (newest - self.reference) / self.half_life > _HALF_LIVES_BEFORE_REBASE:
            return self.rebased(newest).changed(changes)
        weights = np.exp2((changes.decided - self.reference) / self.half_life)
        was = np.isfinite(changes.before)
        now = np.isfinite(changes.after)
        before = np.where(was, changes.before, 0.0)
        after = np.where(now, changes.after, 0.0)
        turn = now.astype(float) - was  # 1: first reward, 0: correction, -1: withdrawn
        return replace(
            self,
            gram=self.gram + (changes.contexts.T * (weights * turn)) @ changes.contexts,
            moment=self.moment + changes.contexts.T @ (weights * (after - before)),
            sum_squares=self.sum_squares + float(weights @ (after**2 - before**2)),
            weight=self.weight + float(weights @ turn),
            count=self.count + int(turn.sum()),
        )

    def rebased(self, reference: float) -> Statistics:
        """Return the same sums relative to another time."""
        factor = float(np.exp2((self.reference - reference) / self.half_life))
        return replace(
            self,
            gram=self.gram * factor,
            moment=self.moment * factor,
            sum_squares=self.sum_squares * factor,
            weight=self.weight * factor,
            reference=reference,
        )

    def merged(self, other: Statistics) -> Statistics:
        """Return the sums over both sets of decisions.

        Raises:
            ValueError: they forget at different rates, or differ in dimension.
        """
        if self.half_life != other.half_life or self.moment.size != other.moment.size:
            raise ValueError(
                "only sums of one half-life and dimension merge, got "
                f"{self.half_life}, {other.half_life} and {self.moment.size}, {other.moment.size}"
            )
        other = other.rebased(self.reference)
        return replace(
            self,
            gram=self.gram + other.gram,
            moment=self.moment + other.moment,
            sum_squares=self.sum_squares + other.sum_squares,
            weight=self.weight + other.weight,
            count=self.count + other.count,
        )

    def to_bytes(self) -> bytes:
        """Return the sums as little-endian float64: gram, moment, then the three scalars."""
        scalars = [self.sum_squares, self.weight, float(self.count)]
        return np.concatenate([self.gram.ravel(), self.moment, scalars]).astype("<f8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, dim: int, *, reference: float, half_life: float) -> Statistics:
        """Return what `to_bytes` wrote.

        Raises:
            ValueError: the length is not that of `dim` dimensions.
        """
        numbers = np.frombuffer(data, dtype="<f8").astype(np.float64)
        if numbers.size != dim * dim + dim + 3:
            raise ValueError(f"{numbers.size} numbers are not the sums of {dim} dimensions")
        sum_squares, weight, count = (float(number) for number in numbers[-3:])
        return cls(
            gram=numbers[: dim * dim].reshape(dim, dim),
            moment=numbers[dim * dim : -3],
            sum_squares=sum_squares,
            weight=weight,
            count=round(count),
            reference=reference,
            half_life=half_life,
        )
