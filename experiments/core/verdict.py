"""What to do next, in words, from intervals and checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from experiments.core.effects import Lift
from experiments.core.health import Check
from experiments.core.intervals import Interval, Method


class VerdictKind(StrEnum):
    """The advice."""

    KEEP_RUNNING = "keep running"
    SHIP = "ship"
    ROLL_BACK = "roll back"
    REVIEW = "review"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class Comparison:
    """One metric of one treatment against the baseline.

    Attributes:
        metric: key of the metric.
        variant: key of the treatment.
        is_goal: the goal metric; a guardrail otherwise.
        higher_is_better: which direction is good.
        lift: relative lift, None while it cannot be estimated.
        interval: of the lift, adjusted for how many comparisons there are.
        harm: one-sided sequence for "worse", for guardrails.
    """

    metric: str
    variant: str
    is_goal: bool
    higher_is_better: bool
    lift: Lift | None
    interval: Interval | None
    harm: Interval | None = None

    def is_better(self) -> bool:
        """Return whether the interval leaves only improvement."""
        if self.interval is None:
            return False
        return self.interval.low > 0 if self.higher_is_better else self.interval.high < 0

    def is_worse(self) -> bool:
        """Return whether the interval leaves only deterioration."""
        if self.interval is None:
            return False
        return self.interval.high < 0 if self.higher_is_better else self.interval.low > 0

    def does_harm(self) -> bool:
        """Return whether the one-sided sequence has crossed 0."""
        if self.harm is None:
            return False
        return self.harm.high < 0 if self.higher_is_better else self.harm.low > 0


LONGEST_WAIT_DAYS = 365
"""What would take longer is said not to end."""


@dataclass(frozen=True)
class Plan:
    """What was fixed at the start.

    Attributes:
        planned_listeners: over all variants.
        min_days: nothing is shipped or rolled back on the goal before.
        smallest_effect: relative lift worth having, > 0.
        method: how intervals are made; a fixed one speaks at the planned end only.
    """

    planned_listeners: int
    min_days: int
    smallest_effect: float
    method: Method = Method.SEQUENTIAL


@dataclass(frozen=True)
class Progress:
    """Where the experiment stands: listeners exposed, days run, new listeners a day of late."""

    listeners: int
    days: float
    listeners_per_day: float


@dataclass(frozen=True)
class Verdict:
    """The advice, its words, and the numbers behind it.

    Attributes:
        kind: what to do.
        words: one or more plain sentences.
        variant: whom it is about, for shipping.
        listeners_left: about how many more are needed, for keeping on.
        days_left: about how many more days that takes; None where nobody new comes.
        harmful: treatments whose guardrail was crossed, to be stopped.
    """

    kind: VerdictKind
    words: str
    variant: str | None = None
    listeners_left: int | None = None
    days_left: int | None = None
    harmful: tuple[str, ...] = ()


def judge(
    comparisons: Sequence[Comparison],
    checks: Sequence[Check],
    plan: Plan,
    progress: Progress,
    *,
    head_to_head: Mapping[tuple[str, str], Interval] | None = None,
) -> Verdict:
    """Return the verdict.

    Order: what is unhealthy, what does harm, what is too early, then the goal.  With several
    treatments one ships early only when it beats the baseline and all others lose to it; several
    winners at the end ship the leader only if it also beats the second directly.

    Args:
        comparisons: every metric of every treatment.
        checks: of health.
        plan: fixed at the start.
        progress: where it stands.
        head_to_head: interval of the lift of the first treatment over the second, keyed by both,
            on the goal.
    """
    harmful = _harmful(comparisons)
    failed = [check for check in checks if not check.ok]
    if failed:
        words = "Do not trust these results. " + " ".join(check.words for check in failed)
        return Verdict(VerdictKind.UNHEALTHY, words, harmful=harmful)
    goals = [comparison for comparison in comparisons if comparison.is_goal]
    if harmful and all(goal.variant in harmful for goal in goals):
        words = "Roll back: " + " ".join(_harm_words(c) for c in comparisons if c.does_harm())
        return Verdict(VerdictKind.ROLL_BACK, words, harmful=harmful)
    at_end = progress.listeners >= plan.planned_listeners and progress.days >= plan.min_days
    if progress.days < plan.min_days or (plan.method is Method.FIXED and not at_end):
        return _keep_running(plan, progress, "", harmful)
    winners = [goal for goal in goals if goal.is_better() and goal.variant not in harmful]
    losers = [goal for goal in goals if goal.is_worse() or goal.variant in harmful]
    undecided = [goal for goal in goals if goal not in winners and goal not in losers]
    if len(winners) == 1 and (at_end or not undecided):
        winner = winners[0]
        words = f"Ship {winner.variant}: {_lift_words(winner)}"
        return Verdict(VerdictKind.SHIP, words, variant=winner.variant, harmful=harmful)
    if len(winners) > 1 and (at_end or not undecided):
        return _among_winners(winners, head_to_head or {}, harmful)
    if losers and len(losers) == len(goals):
        words = "Roll back to the baseline: " + " ".join(_lift_words(goal) for goal in losers)
        return Verdict(VerdictKind.ROLL_BACK, words, harmful=harmful)
    negligible = [goal for goal in undecided if _is_negligible(goal, plan.smallest_effect)]
    if undecided and len(negligible) == len(undecided) and not winners:
        words = (
            f"Review: no difference as large as {plan.smallest_effect:.1%} is left. "
            + " ".join(_lift_words(goal) for goal in undecided)
            + " Keep the baseline unless another reason speaks for a change."
        )
        return Verdict(VerdictKind.REVIEW, words, harmful=harmful)
    if at_end:
        words = (
            f"Review: all {plan.planned_listeners:,} planned listeners are in and the goal has no "
            "winner. " + " ".join(_lift_words(goal) for goal in goals)
        )
        return Verdict(VerdictKind.REVIEW, words, harmful=harmful)
    so_far = "".join(
        f" {goal.variant} already beats the baseline; the others are not decided."
        for goal in winners
    )
    return _keep_running(plan, progress, so_far, harmful)


def _harmful(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(c.variant for c in comparisons if c.does_harm()))


def _keep_running(plan: Plan, progress: Progress, so_far: str, harmful: tuple[str, ...]) -> Verdict:
    listeners_left = max(0, plan.planned_listeners - progress.listeners)
    days_left: int | None = max(0, ceil(plan.min_days - progress.days))
    if listeners_left and progress.listeners_per_day > 0:
        days_left = max(days_left or 0, ceil(listeners_left / progress.listeners_per_day))
    elif listeners_left:
        days_left = None
    if days_left is not None and days_left > LONGEST_WAIT_DAYS:
        return _will_not_end(progress, listeners_left, days_left, so_far, harmful, plan)
    parts = []
    if listeners_left:
        parts.append(f"about {listeners_left:,} more listeners")
    if days_left:
        parts.append(f"{days_left} more day{'' if days_left == 1 else 's'}")
    words = f"Keep running: {', '.join(parts) or 'the planned end is here'}."
    if days_left is None:
        words += " Nobody new has come of late, so no day can be given."
    return Verdict(
        VerdictKind.KEEP_RUNNING,
        words + so_far,
        listeners_left=listeners_left,
        days_left=days_left,
        harmful=harmful,
    )


def _will_not_end(
    progress: Progress,
    listeners_left: int,
    days_left: int,
    so_far: str,
    harmful: tuple[str, ...],
    plan: Plan,
) -> Verdict:
    """Say that the plan is out of reach; a matter for review once the least days are over."""
    is_early = progress.days < plan.min_days
    rate = f"{progress.listeners_per_day:,.1f}".removesuffix(".0")
    words = (
        f"{'Keep running for now' if is_early else 'Review'}: it will not end at this rate. About "
        f"{listeners_left:,} more listeners are planned and {rate} new ones come a day: that is "
        f"{days_left / 365:,.0f} years. To end sooner, widen coverage or targeting, compare fewer "
        "variants, or begin a new phase that asks for a larger effect and so for fewer listeners "
        "(the power calculator says how many)."
    )
    return Verdict(
        VerdictKind.KEEP_RUNNING if is_early else VerdictKind.REVIEW,
        words + so_far,
        listeners_left=listeners_left,
        days_left=days_left,
        harmful=harmful,
    )


def _among_winners(
    winners: Sequence[Comparison],
    head_to_head: Mapping[tuple[str, str], Interval],
    harmful: tuple[str, ...],
) -> Verdict:
    def gain(comparison: Comparison) -> float:
        estimate = comparison.lift.estimate if comparison.lift else 0.0
        return estimate if comparison.higher_is_better else -estimate

    first, *rest = sorted(winners, key=gain, reverse=True)
    for other in rest:
        between = head_to_head.get((first.variant, other.variant))
        beats = between is not None and (
            between.low > 0 if first.higher_is_better else between.high < 0
        )
        if not beats:
            words = (
                f"Review: {first.variant} and {other.variant} both beat the baseline and cannot be "
                f"told apart. {_lift_words(first)} {_lift_words(other)} Either may be shipped."
            )
            return Verdict(VerdictKind.REVIEW, words, variant=first.variant, harmful=harmful)
    words = f"Ship {first.variant}: it also beats the other winners. {_lift_words(first)}"
    return Verdict(VerdictKind.SHIP, words, variant=first.variant, harmful=harmful)


def _is_negligible(comparison: Comparison, smallest_effect: float) -> bool:
    between = comparison.interval
    return between is not None and -smallest_effect < between.low <= between.high < smallest_effect


def _lift_words(comparison: Comparison) -> str:
    if comparison.lift is None or comparison.interval is None:
        return f"{comparison.variant} has no estimate of {comparison.metric} yet."
    between = comparison.interval
    return (
        f"{comparison.variant} changes {comparison.metric} by {comparison.lift.estimate:+.1%} "
        f"({between.low:+.1%} to {between.high:+.1%}, n = {comparison.lift.n:,})."
    )


def _harm_words(comparison: Comparison) -> str:
    if (
        comparison.lift is None or comparison.harm is None
    ):  # pragma: no cover - does_harm() has both
        return ""
    bound = comparison.harm.high if comparison.higher_is_better else comparison.harm.low
    side = "at most" if comparison.higher_is_better else "at least"
    return (
        f"the guardrail {comparison.metric} is worse with {comparison.variant}: "
        f"{comparison.lift.estimate:+.1%}, {side} {bound:+.1%} (n = {comparison.lift.n:,})."
    )
