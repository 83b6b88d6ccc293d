"""What the statistics promise, shown by seeded simulation; the large forms are marked slow."""

import numpy as np
import pytest

from experiments.core.effects import lift
from experiments.core.health import SAMPLE_RATIO_THRESHOLD, sample_ratio_p_value, sample_ratio_power
from experiments.core.intervals import (
    fixed_interval,
    hybrid_interval,
    sequential_harm,
    sequential_interval,
)
from experiments.core.moments import Moments
from experiments.core.power import Baseline, Design, listeners_needed, plan_sequential, power

SMALL_AND_LARGE = [300, pytest.param(4_000, marks=pytest.mark.slow)]
LOOKS = 50


def a_a_lifts(rng, n_experiments):
    """Yield, per experiment, the lifts at 50 looks of two equal arms with a rate of 0.1."""
    per_look = 200
    for counts in rng.binomial(per_look, 0.1, size=(n_experiments, 2, LOOKS)):
        totals = counts.cumsum(axis=1)
        yield [
            lift(
                *(Moments.of_mean(per_look * (k + 1), arm[k], arm[k]) for arm in totals),
                kind="proportion",
            )
            for k in range(LOOKS)
        ]


@pytest.mark.parametrize("n_experiments", SMALL_AND_LARGE)
def test_fifty_looks_at_two_equal_arms(n_experiments):
    """The sequence errs in at most 5 % of experiments, where the fixed test errs in about 30 %."""
    rng = np.random.default_rng(20_240_501)
    alarms = {"fixed": 0, "sequential": 0, "harm": 0, "hybrid": 0}
    planned = 200 * 2 * LOOKS
    for lifts in a_a_lifts(rng, n_experiments):
        alarms["fixed"] += any(fixed_interval(x).excludes_zero() for x in lifts)
        alarms["sequential"] += any(
            sequential_interval(x, tuning_n=planned).excludes_zero() for x in lifts
        )
        alarms["harm"] += any(
            sequential_harm(x, tuning_n=planned, higher_is_better=True).excludes_zero()
            for x in lifts
        )
        alarms["hybrid"] += any(
            hybrid_interval(x, tuning_n=planned, at_planned_end=x is lifts[-1]).excludes_zero()
            for x in lifts
        )
    shares = {name: count / n_experiments for name, count in alarms.items()}
    assert 0.24 < shares["fixed"] < 0.37
    assert max(shares["sequential"], shares["harm"], shares["hybrid"]) <= 0.05


def draw_arm(rng, n, effect):
    """Return numerator, denominator and both before: plays skipped, plays, of `n` listeners."""
    taste = rng.gamma(4, 0.25, n)
    rate = rng.beta(4, 8, n)
    plays_before = 1 + rng.poisson(12 * taste)
    plays = 1 + rng.poisson(15 * taste)
    skips_before = rng.binomial(plays_before, rate)
    skips = rng.binomial(plays, np.minimum(rate * (1 + effect), 1))
    return skips, plays, skips_before, plays_before


COVERAGE = [(1_500, 0.0200), pytest.param(12_000, 0.01, marks=pytest.mark.slow)]


@pytest.mark.parametrize(("n_experiments", "tolerance"), COVERAGE)
def test_intervals_cover_the_truth_95_percent_of_the_time(n_experiments, tolerance):
    """Means and ratios, with and without CUPED, relative to the control."""
    rng = np.random.default_rng(7)
    effect, hits, widths = 0.1, {}, {}
    for _ in range(n_experiments):
        arms = draw_arm(rng, 500, 0.0), draw_arm(rng, 500, effect)
        ratio = [Moments.of_values(*arm) for arm in arms]
        mean = [Moments.of_values(arm[0], None, arm[2]) for arm in arms]
        for name, kind, moments in (("mean", "mean", mean), ("ratio", "ratio", ratio)):
            for cuped in (False, True):
                between = fixed_interval(lift(*moments, kind=kind, cuped=cuped))
                case = (name, cuped)
                hits[case] = hits.get(case, 0) + (between.low <= effect <= between.high)
                widths[case] = widths.get(case, 0) + between.high - between.low
    for case, count in hits.items():
        assert count / n_experiments == pytest.approx(0.95, abs=tolerance), case
    for name in ("mean", "ratio"):
        assert widths[name, True] < 0.95 * widths[name, False]


@pytest.mark.parametrize(
    ("n_experiments", "tolerance"),
    [(2_000, 0.035), pytest.param(40_000, 0.01, marks=pytest.mark.slow)],
)
def test_the_sample_ratio_check_fires_on_52_48_as_often_as_its_power_says(n_experiments, tolerance):
    rng = np.random.default_rng(3)
    listeners = 8_000
    alarms = sum(
        sample_ratio_p_value(counts.tolist(), [0.5, 0.5]) < SAMPLE_RATIO_THRESHOLD
        for counts in rng.multinomial(listeners, [0.52, 0.48], n_experiments)
    )
    expected = sample_ratio_power([0.52, 0.48], [0.5, 0.5], listeners)
    assert 0.3 < expected < 0.9
    assert alarms / n_experiments == pytest.approx(expected, abs=tolerance)


POWER = [(1_000, 0.045), pytest.param(6_000, 0.02, marks=pytest.mark.slow)]


@pytest.mark.parametrize(("n_experiments", "tolerance"), POWER)
def test_the_power_of_a_fixed_test_of_a_mean_is_as_calculated(n_experiments, tolerance):
    rng = np.random.default_rng(11)
    baseline, effect = Baseline(mean=3.0, variance=6.0), 0.12
    n = listeners_needed(baseline, Design(), effect)
    found = 0
    for _ in range(n_experiments):
        control = rng.normal(3.0, 6.0**0.5, n // 2)
        treatment = rng.normal(3.0 * (1 + effect), 6.0**0.5, n // 2)
        result = lift(Moments.of_values(control), Moments.of_values(treatment))
        found += fixed_interval(result).excludes_zero()
    assert found / n_experiments == pytest.approx(0.8, abs=tolerance)


@pytest.mark.parametrize(("n_experiments", "tolerance"), POWER)
def test_the_power_of_a_ratio_metric_is_as_calculated_from_its_history(n_experiments, tolerance):
    rng = np.random.default_rng(12)
    history = Moments.of_values(*draw_arm(rng, 200_000, 0.0))
    design, n, effect = Design(), 1_000, 0.1
    for cuped in (False, True):
        expected = power(Baseline.of(history, kind="ratio", cuped=cuped), design, n, effect)
        assert 0.3 < expected < 0.97
        found = 0
        for _ in range(n_experiments):
            arms = [Moments.of_values(*draw_arm(rng, n // 2, shift)) for shift in (0.0, effect)]
            result = lift(*arms, kind="ratio", cuped=cuped)
            found += fixed_interval(result).excludes_zero()
        assert found / n_experiments == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(("n_experiments", "tolerance"), POWER)
def test_the_power_of_a_sequence_is_as_calculated(n_experiments, tolerance):
    rng = np.random.default_rng(13)
    baseline, effect, looks = Baseline(mean=3.0, variance=3.0), 0.06, 20
    planned = plan_sequential(baseline, effect, looks=looks)
    per_look = planned // (2 * looks)
    design = Design(tuning_n=planned, looks=looks)
    expected = power(baseline, design, 2 * looks * per_look, effect)
    found = 0
    for _ in range(n_experiments):
        values = rng.normal(0, 3.0**0.5, (2, looks, per_look))
        values += np.array([3.0, 3.0 * (1 + effect)])[:, None, None]
        totals = values.sum(axis=2).cumsum(axis=1)
        squares = (values**2).sum(axis=2).cumsum(axis=1)
        for k in range(looks):
            result = lift(
                *(
                    Moments.of_mean(per_look * (k + 1), totals[arm, k], squares[arm, k])
                    for arm in (0, 1)
                )
            )
            if sequential_interval(result, tuning_n=planned).excludes_zero():
                found += 1
                break
    assert found / n_experiments == pytest.approx(expected, abs=tolerance)
