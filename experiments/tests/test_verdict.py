from dataclasses import replace

import pytest

from experiments.core.effects import Lift
from experiments.core.health import Check
from experiments.core.intervals import Interval, Method
from experiments.core.verdict import Comparison, Plan, Progress, VerdictKind, judge

PLAN = Plan(planned_listeners=10_000, min_days=7, smallest_effect=0.05)
HALFWAY = Progress(listeners=5_000, days=10, listeners_per_day=400)
END = Progress(listeners=10_000, days=25, listeners_per_day=400)
HEALTHY = [Check("sample ratio", True, "fine")]


def goal(low, high, variant="b", higher_is_better=True):
    estimate = (low + high) / 2
    lift = Lift(estimate, 0.01, 100.0, 5_000, True, 1.0, 1.0 + estimate)
    return Comparison(
        "mean_rating", variant, True, higher_is_better, lift, Interval(low, high, 0.5)
    )


def guardrail(bound, variant="b"):
    lift = Lift(bound - 0.1, 0.01, 100.0, 5_000, True, 1.0, 1.0)
    both = Interval(bound - 0.2, bound, 0.5)
    return Comparison(
        "like_rate", variant, False, True, lift, both, Interval(-float("inf"), bound, 0.01)
    )


def test_a_failed_check_outweighs_any_result():
    broken = [*HEALTHY, Check("sample ratio", False, "The split is off.")]
    verdict = judge([goal(0.1, 0.2)], broken, PLAN, END)
    assert verdict.kind is VerdictKind.UNHEALTHY
    assert "The split is off." in verdict.words


def test_a_winner_ships_as_soon_as_the_minimum_days_are_over():
    early = replace(HALFWAY, days=6.5)
    assert judge([goal(0.1, 0.2)], HEALTHY, PLAN, early).kind is VerdictKind.KEEP_RUNNING
    verdict = judge([goal(0.1, 0.2)], HEALTHY, PLAN, HALFWAY)
    assert (verdict.kind, verdict.variant) == (VerdictKind.SHIP, "b")
    assert "+15.0%" in verdict.words
    assert "+10.0% to +20.0%" in verdict.words


def test_lower_is_better_turns_the_direction():
    assert judge([goal(-0.2, -0.1)], HEALTHY, PLAN, HALFWAY).kind is VerdictKind.ROLL_BACK
    skips = goal(-0.2, -0.1, higher_is_better=False)
    assert judge([skips], HEALTHY, PLAN, HALFWAY).kind is VerdictKind.SHIP


def test_undecided_says_how_many_listeners_and_days_are_left():
    verdict = judge([goal(-0.1, 0.1)], HEALTHY, PLAN, HALFWAY)
    assert verdict.kind is VerdictKind.KEEP_RUNNING
    assert (verdict.listeners_left, verdict.days_left) == (5_000, 13)
    assert "5,000 more listeners, 13 more days" in verdict.words


def test_without_newcomers_no_day_is_invented():
    verdict = judge([goal(-0.1, 0.1)], HEALTHY, PLAN, replace(HALFWAY, listeners_per_day=0))
    assert verdict.days_left is None
    assert "no day can be given" in verdict.words


def test_a_fixed_test_speaks_only_at_the_planned_end():
    plan = replace(PLAN, method=Method.FIXED)
    assert judge([goal(0.1, 0.2)], HEALTHY, plan, HALFWAY).kind is VerdictKind.KEEP_RUNNING
    assert judge([goal(0.1, 0.2)], HEALTHY, plan, END).kind is VerdictKind.SHIP


def test_a_crossed_guardrail_rolls_back_even_a_winner_and_at_once():
    comparisons = [goal(0.1, 0.2), guardrail(-0.01)]
    verdict = judge(comparisons, HEALTHY, PLAN, replace(HALFWAY, days=0.5))
    assert verdict.kind is VerdictKind.ROLL_BACK
    assert verdict.harmful == ("b",)
    assert "guardrail like_rate" in verdict.words


def test_a_guardrail_that_has_not_crossed_stops_nobody():
    verdict = judge([goal(0.1, 0.2), guardrail(0.01)], HEALTHY, PLAN, HALFWAY)
    assert (verdict.kind, verdict.harmful) == (VerdictKind.SHIP, ())


def test_one_harmful_treatment_of_two_is_named_while_the_other_runs_on():
    comparisons = [goal(0.1, 0.2, "b"), goal(-0.1, 0.1, "c"), guardrail(-0.01, "b")]
    verdict = judge(comparisons, HEALTHY, PLAN, HALFWAY)
    assert (verdict.kind, verdict.harmful) == (VerdictKind.KEEP_RUNNING, ("b",))


def test_with_several_treatments_a_winner_waits_for_the_undecided():
    comparisons = [goal(0.1, 0.2, "b"), goal(-0.1, 0.1, "c")]
    verdict = judge(comparisons, HEALTHY, PLAN, HALFWAY)
    assert verdict.kind is VerdictKind.KEEP_RUNNING
    assert "b already beats the baseline" in verdict.words
    assert judge(comparisons, HEALTHY, PLAN, END).variant == "b"


def test_a_winner_whose_rivals_all_lost_ships_early():
    comparisons = [goal(0.1, 0.2, "b"), goal(-0.2, -0.1, "c")]
    assert judge(comparisons, HEALTHY, PLAN, HALFWAY).kind is VerdictKind.SHIP


@pytest.mark.parametrize(
    ("between", "kind"),
    [
        (None, VerdictKind.REVIEW),
        ((-0.01, 0.1), VerdictKind.REVIEW),
        ((0.01, 0.1), VerdictKind.SHIP),
    ],
)
def test_of_two_winners_the_leader_ships_only_if_it_beats_the_second(between, kind):
    comparisons = [goal(0.1, 0.2, "b"), goal(0.2, 0.3, "c")]
    pairs = {("c", "b"): Interval(*between, 0.5)} if between else None
    verdict = judge(comparisons, HEALTHY, PLAN, END, head_to_head=pairs)
    assert (verdict.kind, verdict.variant) == (kind, "c")


def test_a_difference_too_small_to_care_for_ends_in_a_review():
    verdict = judge([goal(-0.04, 0.04)], HEALTHY, PLAN, HALFWAY)
    assert verdict.kind is VerdictKind.REVIEW
    assert "no difference as large as 5.0%" in verdict.words


def test_the_planned_end_without_a_winner_is_a_review():
    assert judge([goal(-0.1, 0.1)], HEALTHY, PLAN, END).kind is VerdictKind.REVIEW


def test_nothing_measured_yet_keeps_running():
    blank = Comparison("mean_rating", "b", True, True, None, None)
    verdict = judge([blank], HEALTHY, PLAN, HALFWAY)
    assert verdict.kind is VerdictKind.KEEP_RUNNING
    assert judge([blank], HEALTHY, PLAN, END).kind is VerdictKind.REVIEW


@pytest.mark.parametrize(
    ("days", "kind"), [(2, VerdictKind.KEEP_RUNNING), (10, VerdictKind.REVIEW)]
)
def test_a_plan_out_of_reach_is_said_not_to_end_and_what_would_change_it(days, kind):
    slow = Progress(listeners=500, days=days, listeners_per_day=2.5)
    verdict = judge([goal(-0.3, 0.3)], HEALTHY, PLAN, slow)
    assert verdict.kind is kind
    assert "will not end at this rate" in verdict.words
    assert "9,500 more listeners" in verdict.words
    assert "10 years" in verdict.words
    assert "widen coverage" in verdict.words
    assert "more days" not in verdict.words
