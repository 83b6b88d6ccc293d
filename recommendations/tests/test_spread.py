import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.core.spread import coverage, gini, novelty

exposures = st.lists(st.integers(0, 1000), min_size=1, max_size=50).map(np.array)


def test_coverage_counts_tracks_and_not_times():
    assert coverage(np.array([5, 0, 1, 0])) == 0.5


def test_equal_exposure_has_gini_0_and_one_track_with_all_has_nearly_1():
    assert gini(np.array([3, 3, 3])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(0.75)
    assert gini(np.array([0, 0])) == 0


@given(exposures)
def test_gini_is_the_mean_difference_over_twice_the_mean(shown):
    differences = np.abs(shown[:, None] - shown[None, :]).mean()
    expected = differences / (2 * shown.mean()) if shown.sum() else 0
    assert gini(shown) == pytest.approx(expected, abs=1e-12)


def test_novelty_weighs_each_track_by_how_often_it_was_shown():
    popularity = np.array([0.5, 0.25])
    assert novelty(np.array([1, 1]), popularity) == pytest.approx(1.5)
    assert novelty(np.array([3, 1]), popularity) == pytest.approx(1.25)
    assert novelty(np.array([0, 0]), popularity) is None


def test_a_track_nobody_knows_is_newer_than_any_other():
    popularity = np.array([0.5, 0.0])
    assert novelty(np.array([0, 1]), popularity) == pytest.approx(2)


def test_an_empty_catalogue_is_refused():
    with pytest.raises(ValueError, match="no track"):
        gini(np.array([], int))
