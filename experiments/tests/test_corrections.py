import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from experiments.core.corrections import (
    benjamini_hochberg,
    benjamini_hochberg_levels,
    holm,
    holm_levels,
)

P_VALUES = st.lists(st.integers(0, 10**6).map(lambda n: n / 10**6), min_size=1, max_size=20)


@pytest.fixture(scope="module", autouse=True)
def nothing_old_to_collect():
    """`multipletests` collects garbage each time, which takes long where much is loaded."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_holm_matches_the_published_case():
    assert holm([0.01, 0.04, 0.03, 0.005, 0.55, 0.6]) == pytest.approx(
        [0.05, 0.12, 0.12, 0.03, 1, 1]
    )


def test_benjamini_hochberg_matches_the_published_case():
    adjusted = benjamini_hochberg([0.898, 0.138, 0.007, 0.964, 0.538, 0.006, 0.138])
    assert adjusted == pytest.approx([0.964, 0.2415, 0.0245, 0.964, 0.7532, 0.0245, 0.2415])


@settings(max_examples=25)
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


@given(P_VALUES, st.sampled_from([0.01, 0.05, 0.2]))
def test_levels_reject_what_adjusted_p_values_reject(p_values, alpha):
    for adjust, levels in ((holm, holm_levels), (benjamini_hochberg, benjamini_hochberg_levels)):
        by_level = np.array(p_values) < levels(p_values, alpha=alpha)
        borderline = np.isclose(adjust(p_values), alpha)
        assert (by_level == (adjust(p_values) < alpha))[~borderline].all()


def test_one_comparison_needs_no_correction():
    assert holm_levels([0.3], alpha=0.05) == benjamini_hochberg_levels([0.3], alpha=0.05) == 0.05


def test_holm_levels_step_down():
    assert holm_levels([0.5, 0.001, 0.02], alpha=0.06) == pytest.approx([0.06, 0.02, 0.03])
    assert holm_levels([0.5, 0.001, 0.04], alpha=0.06) == pytest.approx([0.03, 0.02, 0.03])
