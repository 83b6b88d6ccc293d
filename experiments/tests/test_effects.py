"""Vectors of GrowthBook's statistics tests (packages/stats/tests), to the digits printed there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.core.effects import NotEstimableError, lift
from experiments.core.intervals import (
    Method,
    fixed_interval,
    hybrid_interval,
    interval,
    sequence_half_width,
    sequence_rho,
    sequential_harm,
    sequential_interval,
)
from experiments.core.moments import Moments, winsor_cap, winsorize

A = Moments.of_mean(3407, 1396.87, 52377.9767)
A_3000 = Moments.of_mean(3000, 1396.87, 52377.9767)
B = Moments.of_mean(3461, 2422.7, 134698.29)


def ratio_moments(n, sums, diagonal, cross):
    """Moments from the sums named as in the published case: m, d, m' and d'."""
    m_pre, d_pre, mpre_dpre, m_d, m_dpre, mpre_d = cross
    products = np.diag(diagonal)
    for (row, column), value in {
        (0, 2): m_pre,
        (1, 3): d_pre,
        (2, 3): mpre_dpre,
        (0, 1): m_d,
        (0, 3): m_dpre,
        (1, 2): mpre_d,
    }.items():
        products[row, column] = products[column, row] = value
    return Moments(n, np.array(sums), products)


RATIO_A = ratio_moments(
    100,
    [485.112236689623, 679.9093275844917, 192.59138069991536, 290.1398399750233],
    [2715.484666118136, 4939.424001640236, 460.076026390857, 920.9461385038898],
    [
        1113.6215759318352,
        2130.9404074446747,
        634.239482353647,
        3602.146836776702,
        1559.2878434944676,
        1460.3181079276983,
    ],
)
RATIO_B = ratio_moments(
    100,
    [514.7757826608777, 705.4090874383759, 206.94157227402536, 302.54389139107326],
    [2994.897482705013, 5291.36604146392, 514.2903702246757, 994.4506208125663],
    [
        1237.0953021125997,
        2292.081739775257,
        698.4173425817908,
        3918.1561431600717,
        1701.0287270040265,
        1604.0759503266522,
    ],
)


def assert_prints(actual, expected, digits=5):
    assert [round(float(value), digits) for value in actual] == list(expected)


def test_relative_lift_matches():
    result = lift(A, B)
    between = fixed_interval(result)
    assert_prints(
        (result.estimate, between.low, between.high, result.se, between.p_value),
        (0.70732, -0.03526, 1.44989, 0.37879, 0.06191),
    )


def test_absolute_difference_matches():
    result = lift(A, B, relative=False)
    between = fixed_interval(result)
    assert_prints(
        (result.estimate, between.low, between.high, result.se, between.p_value),
        (0.29, 0.04538, 0.53462, 0.12478, 0.02016),
    )


def test_proportions_match():
    result = lift(Moments.of_mean(28, 14, 14), Moments.of_mean(30, 16, 16), kind="proportion")
    between = fixed_interval(result)
    assert_prints(
        (result.estimate, between.low, between.high, result.se, between.p_value),
        (0.06667, -0.47767, 0.61101, 0.2717, 0.80707),
    )


def test_sequential_interval_matches():
    between = sequential_interval(lift(A_3000, B), tuning_n=1000)
    assert_prints(
        (lift(A_3000, B).estimate, between.low, between.high, between.p_value),
        (0.50336, -0.55844, 1.56516, 1),
    )


def test_sequential_interval_of_a_proportion_matches():
    result = lift(
        Moments.of_mean(3000, 1396, 1396), Moments.of_mean(3461, 2422, 2422), kind="proportion"
    )
    between = sequential_interval(result, tuning_n=5000)
    assert_prints(
        (result.estimate, between.low, between.high, result.se, between.p_value),
        (0.50386, 0.40098, 0.60675, 0.03386, 0),
    )


def test_cuped_matches():
    control = Moments.of_mean(
        3000, 1396.87, 52377.9767, pre_total=16.87, pre_squares=527.9767, cross=1
    )
    treatment = Moments.of_mean(
        3461, 2422.7, 134698.29, pre_total=22.7, pre_squares=1348.29, cross=1
    )
    result = lift(control, treatment, cuped=True)
    between = sequential_interval(result, tuning_n=5000)
    assert_prints(
        (result.estimate, between.low, between.high, result.se),
        (0.50338, -0.50969, 1.51646, 0.33341),
    )


def test_ratio_with_cuped_matches():
    result = lift(RATIO_A, RATIO_B, kind="ratio", cuped=True)
    fixed = fixed_interval(result)
    looks = sequential_interval(result, tuning_n=5000)
    assert_prints(
        (result.estimate, fixed.low, fixed.high, result.se, fixed.p_value, looks.low, looks.high),
        (-0.0007, -0.00841, 0.007, 0.00391, 0.85771, -0.02063, 0.01923),
    )


def test_delta_variance_matches():
    """Arms of variance 4 and 0.5, means 7 and 5, sizes 4 and 15."""
    control = Moments.of_mean(4, 28, 3 * 4 + 4 * 49)
    treatment = Moments.of_mean(15, 75, 14 * 0.5 + 15 * 25)
    assert round(lift(control, treatment, relative=False).se ** 2, 5) == 1.03333
    control = Moments.of_mean(4, 28, 3 * 2 + 4 * 49)
    assert round(lift(control, treatment, relative=False).se ** 2, 5) == 0.53333


def test_mixture_parameter_and_half_width_match():
    assert sequence_rho(0.05, 5000) == pytest.approx(0.03984006677137368, abs=1e-16)
    for n, expected in ((1000, 0.10637547006557505), (5000, 0.042924337188268456)):
        half = sequence_half_width(n**-0.5, n, alpha=0.05, tuning_n=5000)
        assert half == pytest.approx(expected, abs=1e-16)


def test_welch_agrees_with_scipy():
    rng = np.random.default_rng(1)
    control, treatment = rng.gamma(2, 3, 50), rng.gamma(2, 4, 80)
    ours = fixed_interval(
        lift(Moments.of_values(control), Moments.of_values(treatment), relative=False)
    )
    theirs = stats.ttest_ind(treatment, control, equal_var=False)
    assert ours.p_value == pytest.approx(theirs.pvalue)
    bounds = theirs.confidence_interval()
    assert (ours.low, ours.high) == pytest.approx((bounds.low, bounds.high))


def test_cuped_is_regression_on_the_centred_covariate():
    rng = np.random.default_rng(2)
    before = rng.normal(5, 2, 400)
    after = before + rng.normal(0, 1, 400) + np.repeat([0.0, 0.3], 200)
    arms = [
        Moments.of_values(after[part], pre_numerator=before[part])
        for part in (slice(200), slice(200, None))
    ]
    theta = np.cov(after, before)[0, 1] / np.var(before, ddof=1)
    adjusted = after - theta * before
    expected = stats.ttest_ind(adjusted[200:], adjusted[:200], equal_var=False)
    plain = lift(*arms, relative=False)
    result = lift(*arms, relative=False, cuped=True)
    assert result.theta == pytest.approx(theta)
    assert result.estimate / result.se == pytest.approx(expected.statistic)
    assert result.dof == pytest.approx(expected.df)
    assert result.se < plain.se / 1.8


def test_cuped_without_history_changes_nothing():
    plain, cuped = lift(A, B), lift(A, B, cuped=True)
    assert (plain.estimate, plain.se, cuped.theta) == (cuped.estimate, cuped.se, 0.0)


def test_a_mean_is_the_ratio_with_denominator_one():
    as_ratio = lift(A, B, kind="ratio")
    as_mean = lift(A, B)
    assert (as_ratio.estimate, as_ratio.se) == (as_mean.estimate, as_mean.se)


@pytest.mark.parametrize(
    ("control", "treatment", "message"),
    [
        (Moments.zero(), B, "two listeners"),
        (Moments.of_values([1.0]), B, "two listeners"),
        (Moments.of_values([2.0, 2.0]), B, "no variance"),
        (Moments.of_values([0.0, 0.0], [0.0, 0.0]), B, "denominator is 0"),
        (Moments.of_values([-1.0, 1.0]), B, "baseline's value is 0"),
    ],
)
def test_what_cannot_be_estimated_says_why(control, treatment, message):
    with pytest.raises(NotEstimableError, match=message):
        lift(control, treatment)


VALUES = st.lists(st.integers(-50, 50), min_size=3, max_size=30).filter(lambda v: len(set(v)) > 1)


@given(VALUES, VALUES, st.integers(1, 20))
def test_lift_is_the_same_in_any_unit(control, treatment, scale):
    first = lift(Moments.of_values(control), Moments.of_values(treatment), relative=False)
    second = lift(
        Moments.of_values(np.multiply(control, scale)),
        Moments.of_values(np.multiply(treatment, scale)),
        relative=False,
    )
    assert second.estimate == pytest.approx(scale * first.estimate, abs=1e-9)
    assert second.se == pytest.approx(scale * first.se)


@given(VALUES, VALUES)
def test_swapping_the_arms_mirrors_the_interval(control, treatment):
    arms = Moments.of_values(control), Moments.of_values(treatment)
    forth = fixed_interval(lift(*arms, relative=False))
    back = fixed_interval(lift(*reversed(arms), relative=False))
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low), abs=1e-9)


@given(VALUES, VALUES, VALUES)
def test_moments_add_up_over_groups(first, second, third):
    together = Moments.of_values(first + second + third)
    added = Moments.of_values(first) + Moments.of_values(second) + Moments.of_values(third)
    assert together.n == added.n
    np.testing.assert_allclose(together.products, added.products)
    np.testing.assert_allclose(together.covariance()[0, 0], np.var(first + second + third, ddof=1))


@given(
    st.floats(-5, 5).filter(lambda x: abs(x) > 1e-3),
    st.integers(100, 100_000),
    st.integers(100, 100_000),
    st.sampled_from([0.01, 0.05, 0.1]),
    st.sampled_from([None, 0.05]),
)
def test_p_values_agree_with_intervals(effect, n, tuning_n, alpha, tuning_alpha):
    arms = (
        Moments.of_mean(n, 10 * n, 101 * n),
        Moments.of_mean(n, (10 + effect / n**0.5) * n, (1 + (10 + effect / n**0.5) ** 2) * n),
    )
    result = lift(*arms)
    for method in Method:
        between = interval(
            result,
            method,
            alpha=alpha,
            tuning_n=tuning_n,
            tuning_alpha=tuning_alpha,
            at_planned_end=True,
        )
        assert between.excludes_zero() is (between.p_value < alpha)
    for higher_is_better in (True, False):
        harm = sequential_harm(
            result, alpha=alpha, tuning_n=tuning_n, higher_is_better=higher_is_better
        )
        assert harm.excludes_zero() is (harm.p_value < alpha)


def test_one_sided_sequence_crosses_before_the_two_sided():
    arms = Moments.of_mean(500, 5000, 50500), Moments.of_mean(500, 4880, 48130)
    result = lift(*arms)
    both = sequential_interval(result, tuning_n=1000)
    harm = sequential_harm(result, tuning_n=1000, higher_is_better=True)
    assert harm.high < both.high
    assert harm.low == -np.inf


def test_the_hybrid_costs_little_at_the_end():
    result = lift(A, B)
    fixed, hybrid = (
        fixed_interval(result),
        hybrid_interval(result, tuning_n=result.n, at_planned_end=True),
    )
    looks = sequential_interval(result, tuning_n=result.n)
    widths = [between.high - between.low for between in (fixed, hybrid, looks)]
    assert widths == sorted(widths)
    assert widths[1] / widths[0] < 1.15
    early = hybrid_interval(result, tuning_n=result.n, at_planned_end=False)
    assert early.high - early.low > widths[2]


@pytest.mark.parametrize("alpha", [0, 1, -1, 2])
def test_alpha_outside_0_to_1_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        fixed_interval(lift(A, B), alpha=alpha)
    with pytest.raises(ValueError, match="alpha"):
        sequential_interval(lift(A, B), alpha=alpha, tuning_n=1000)


def test_winsorizing_caps_at_a_percentile_of_the_non_zero():
    values = [0.0] * 90 + list(range(1, 11))
    assert winsor_cap(values, 50) == 5.5
    assert winsorize(values, 50).max() == 5.5
    assert winsorize(values, 50).tolist()[90:95] == [1, 2, 3, 4, 5]
    assert winsorize([0.0, 0.0], 99).tolist() == [0, 0]
    with pytest.raises(ValueError, match="percentile"):
        winsor_cap(values, 0)


def test_uneven_columns_are_refused():
    with pytest.raises(ValueError, match="shape"):
        Moments.of_values([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="finite"):
        Moments.of_values([1.0, np.nan])
