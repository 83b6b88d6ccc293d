import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from experiments.core.corrections import adjusted_interval, benjamini_hochberg, holm
from experiments.core.intervals import Interval

P_VALUES = st.lists(st.integers(0, 10**6).map(lambda n: n / 10**6), min_size=1, max_size=20)


def test_holm_matches_the_published_case():
    assert holm([0.01, 0.04, 0.03, 0.005, 0.55, 0.6]) == pytest.approx(
        [0.05, 0.12, 0.12, 0.03, 1, 1]
    )


def test_benjamini_hochberg_matches_the_published_case():
    adjusted = benjamini_hochberg([0.898, 0.138, 0.007, 0.964, 0.538, 0.006, 0.138])
    assert adjusted == pytest.approx([0.964, 0.2415, 0.0245, 0.964, 0.7532, 0.0245, 0.2415])


@given(P_VALUES)
def test_both_agree_with_statsmodels(p_values):
    for ours, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        np.testing.assert_allclose(ours(p_values), multipletests(p_values, method=method)[1])


@given(P_VALUES)
def test_no_p_value_gets_smaller(p_values):
    assert (holm(p_values) >= benjamini_hochberg(p_values) - 1e-12).all()
    assert (benjamini_hochberg(p_values) >= np.array(p_values) - 1e-12).all()


@pytest.mark.parametrize("p_values", [[-0.1], [1.1], [float("nan")]])
def test_what_is_no_p_value_is_refused(p_values):
    with pytest.raises(ValueError, match="p-values"):
        holm(p_values)


def test_an_adjusted_interval_touches_zero_where_its_p_value_is_alpha():
    widened = adjusted_interval(Interval(0.1, 0.3, 0.001), 0.05, alpha=0.05)
    assert widened.low == pytest.approx(0, abs=1e-12)
    assert widened.high == pytest.approx(0.4)


def test_an_adjusted_interval_is_never_narrower():
    adjusted = adjusted_interval(Interval(-0.5, 0.9, 0.5), 0.02, alpha=0.05)
    assert (adjusted.low, adjusted.high) == pytest.approx((-0.5, 0.9))


def test_an_adjusted_p_value_of_1_says_nothing():
    assert adjusted_interval(Interval(-0.5, 0.9, 0.5), 1.0, alpha=0.05).low == -np.inf
