from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import NormalIndPower

from experiments.core.moments import Moments
from experiments.core.power import (
    Baseline,
    Design,
    detectable_effect,
    inflated_detectable_effect,
    inflated_power,
    listeners_needed,
    plan_sequential,
    power,
)

# GrowthBook's case: 400,000 users over three variations.
BASELINE = Baseline(mean=10, variance=3909.9997749994377)
PAIR = 400_000 * 2 / 3


def test_power_and_detectable_effect_match_growthbook():
    assert round(power(BASELINE, Design(), PAIR, 0.05), 5) == 0.52144
    assert round(detectable_effect(BASELINE, Design(), PAIR), 5) == 0.07027


def test_growthbooks_sequential_approximation_is_reproduced():
    design = Design(tuning_n=5000)
    assert round(inflated_power(BASELINE, design, PAIR, 0.05), 5) == 0.20596
    assert round(inflated_detectable_effect(BASELINE, design, PAIR), 5) == 0.12821


def test_one_look_at_a_sequence_has_the_power_of_its_boundary():
    """At the published case the boundary leaves 0.0721, far from the approximation's 0.206."""
    assert power(BASELINE, Design(tuning_n=5000, looks=1), PAIR, 0.05) == pytest.approx(
        0.07206492750268412, abs=2e-6
    )


def test_more_looks_give_a_sequence_more_power():
    powers = [power(BASELINE, Design(tuning_n=PAIR, looks=k), PAIR, 0.08) for k in (1, 5, 30)]
    assert powers == sorted(powers)
    assert powers[-1] < power(BASELINE, Design(), PAIR, 0.08)


def test_without_an_effect_a_sequence_stays_under_alpha():
    assert power(BASELINE, Design(tuning_n=PAIR, looks=200), PAIR, 0.0) < 0.05
    assert power(BASELINE, Design(), PAIR, 0.0) == pytest.approx(0.05)


def test_fixed_power_of_an_absolute_scale_agrees_with_statsmodels():
    """A tiny relative effect on a large mean has no noise from the divisor."""
    base = Baseline(mean=1e6, variance=100.0)
    ours = power(base, Design(), 800, 2e-6)
    theirs = NormalIndPower().power(effect_size=0.2, nobs1=400, alpha=0.05)
    assert ours == pytest.approx(theirs, abs=1e-5)


@settings(max_examples=20)
@given(st.floats(0.02, 0.3), st.floats(0.5, 0.95), st.floats(0.3, 0.7))
def test_listeners_needed_is_the_inverse_of_power(effect, target, weight):
    base, design = Baseline(3.0, 4.0), Design(weight_control=weight)
    n = listeners_needed(base, design, effect, target_power=target)
    assert power(base, design, n, effect) >= target
    assert power(base, design, n * 0.995 - 2, effect) < target
    assert detectable_effect(base, design, n, target_power=target) == pytest.approx(
        effect, rel=0.01
    )


def test_detectable_effect_of_a_sequence_is_the_inverse_of_its_power():
    base, design = Baseline(3.0, 4.0), Design(tuning_n=2000, looks=10)
    effect = detectable_effect(base, design, 2000)
    assert power(base, design, 2000, effect) == pytest.approx(0.8, abs=1e-3)


def test_a_sequence_tuned_to_its_plan_needs_about_half_more_listeners():
    base = Baseline(3.0, 4.0)
    fixed = listeners_needed(base, Design(), 0.1)
    planned = plan_sequential(base, 0.1)
    assert 1.2 < planned / fixed < 1.8
    assert power(base, Design(tuning_n=planned), planned, 0.1) == pytest.approx(0.8, abs=0.01)


def test_too_much_noise_leaves_no_detectable_effect():
    assert detectable_effect(Baseline(0.1, 100.0), Design(), 100) == inf


def test_the_history_of_a_ratio_gives_its_delta_method_variance():
    history = Moments.of_values([1.0, 4.0, 2.0, 9.0], [2.0, 5.0, 4.0, 9.0])
    base = Baseline.of(history, kind="ratio")
    assert base.mean == pytest.approx(16 / 20)
    residuals = [(m - 0.8 * d) / 5 for m, d in zip([1, 4, 2, 9], [2, 5, 4, 9], strict=True)]
    assert base.variance == pytest.approx(sum(r * r for r in residuals) / 3)


def test_history_before_exposure_makes_a_smaller_variance():
    history = Moments.of_values([1.0, 4.0, 2.0, 9.0], pre_numerator=[1.0, 3.0, 2.0, 8.0])
    reduced = Baseline.of(history, cuped=True)
    assert 0 < reduced.variance < 0.1 * Baseline.of(history).variance


@pytest.mark.parametrize(
    "make",
    [
        lambda: Baseline(0, 1),
        lambda: Baseline(1, 0),
        lambda: Design(alpha=0),
        lambda: Design(looks=0),
        lambda: Design(weight_control=1),
        lambda: listeners_needed(BASELINE, Design(), 0),
        lambda: listeners_needed(BASELINE, Design(), 1e-6),
        lambda: listeners_needed(BASELINE, Design(), 0.1, target_power=1),
        lambda: inflated_power(BASELINE, Design(), 100, 0.1),
    ],
)
def test_impossible_designs_are_refused(make):
    with pytest.raises(ValueError, match=r"mean|variance|alpha|looks|weight|effect|power|tuning"):
        make()
