import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.core.health import (
    check_balance,
    check_fallbacks,
    check_multiple_exposures,
    check_sample_ratio,
    sample_ratio_p_value,
    sample_ratio_power,
)


def test_sample_ratio_matches_the_published_case():
    assert sample_ratio_p_value([1000, 1200], [0.5, 0.5]) == pytest.approx(2.00787e-05, rel=1e-5)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 10**6))
def test_variants_of_weight_zero_are_not_counted(first, second, stray):
    with_zero = sample_ratio_p_value([first, stray, second], [0.5, 0, 0.5])
    assert with_zero == sample_ratio_p_value([first, second], [0.5, 0.5])


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(1, 50))
def test_only_the_proportion_of_weights_matters(first, second, scale):
    once = sample_ratio_p_value([first, second], [0.2, 0.3])
    assert once == pytest.approx(sample_ratio_p_value([first, second], [0.2 * scale, 0.3 * scale]))


def test_the_check_says_how_often_it_was_looked_at():
    check = check_sample_ratio([5000, 5600], [0.5, 0.5], looks=30)
    assert not check.ok
    assert "looked at 30 times" in check.words
    assert "at most 3.0%" in check.words
    assert "5,000 / 5,600" in check.words


def test_a_few_listeners_are_too_early_to_judge():
    check = check_sample_ratio([0, 7], [0.5, 0.5], looks=1)
    assert check.ok
    assert "Too early" in check.words


def test_one_variant_alone_has_no_ratio():
    assert sample_ratio_p_value([100, 5], [1, 0]) == 1.0


@pytest.mark.parametrize(("counts", "weights"), [([1], [0.5, 0.5]), ([1, -1], [1, 1])])
def test_impossible_counts_are_refused(counts, weights):
    with pytest.raises(ValueError, match="exposures"):
        sample_ratio_p_value(counts, weights)


def test_without_a_mismatch_the_power_is_the_threshold():
    assert sample_ratio_power([1, 1], [1, 1], 1000) == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("multiple", "total", "ok"), [(0, 0, True), (9, 10, True), (10, 1000, True), (11, 1000, False)]
)
def test_multiple_exposures_alarm_over_one_percent_and_ten(multiple, total, ok):
    assert check_multiple_exposures(multiple, total).ok is ok


@pytest.mark.parametrize(
    ("fallbacks", "exposures", "ok"),
    [
        ([0, 0], [0, 0], True),
        ([0, 0], [500, 500], True),
        ([4, 4], [500, 500], True),
        ([30, 2], [500, 500], False),
        ([20, 1], [1000, 1000], False),
        ([2, 0], [30, 30], True),
    ],
)
def test_fall_backs_alarm_when_many_or_uneven(fallbacks, exposures, ok):
    assert check_fallbacks(fallbacks, exposures).ok is ok


def test_balance_counts_how_many_comparisons_were_made():
    assert check_balance([], []).ok
    assert check_balance([0.002] * 3, ["a", "b", "c"]).ok
    bad = check_balance([0.5, 0.0001], ["skips of b", "likes of b"])
    assert not bad.ok
    assert "likes of b" in bad.words
