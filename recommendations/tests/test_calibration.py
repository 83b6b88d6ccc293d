import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.core.calibration import (
    Calibration,
    MonotoneCurve,
    fit_logistic,
    isotonic,
    within_one_star,
)
from recommendations.core.metrics import reliability_curve


def test_isotonic_regression_of_a_hand_worked_case():
    found = isotonic(np.array([1.0, 3.0, 2.0, 4.0]), np.array([1.0, 1.0, 3.0, 1.0]))
    assert found == pytest.approx([1, 2.25, 2.25, 4])


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_isotonic_regression_rises_and_keeps_the_mean(levels):
    y = np.array(levels)
    found = isotonic(y, np.ones(len(y)))
    assert (np.diff(found) >= -1e-9).all()
    assert found.mean() == pytest.approx(y.mean(), abs=1e-9)


def test_a_curve_is_constant_beyond_its_ends():
    curve = MonotoneCurve(np.array([0.2, 0.8], np.float32), np.array([1.0, 3.0], np.float32))
    assert curve(np.array([0.0, 0.5, 1.0])) == pytest.approx([1, 2, 3])


def test_a_curve_without_cases_is_refused():
    with pytest.raises(ValueError, match="at least one case"):
        MonotoneCurve.fit(np.empty(0), np.empty(0))


def test_logistic_regression_finds_the_coefficients_of_its_own_model():
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(40_000), rng.normal(size=40_000)])
    chance = 1 / (1 + np.exp(-(x @ [0.5, -1.0])))
    found = fit_logistic(x, (rng.random(40_000) < chance).astype(float))
    assert found == pytest.approx([0.5, -1.0], abs=0.05)


def test_one_star_away_is_still_within():
    assert within_one_star(np.array([3.0, 3.0, 3.0]), np.array([4, 2, 1.9])).tolist() == [
        True,
        True,
        False,
    ]


def responses(rng, n=20_000):
    """Ratings whose spread falls with the track's count; the head is too sure of itself."""
    truth = rng.random(n)
    counts = rng.integers(0, 200, n).astype(np.float32)
    n_responses = rng.integers(0, 100, n).astype(np.float32)
    noise = rng.normal(0, 0.4 + 1.2 / (1 + counts / 20))
    ratings = np.clip(np.round(1 + 4 * truth + noise), 1, 5).astype(np.float32)
    head = np.clip(0.5 + 1.8 * (truth - 0.5), 0, 1).astype(np.float32)
    return head, ratings, n_responses, counts


def test_scores_are_calibrated_on_responses_they_were_not_fitted_to():
    rng = np.random.default_rng(3)
    calibration = Calibration.fit(*responses(rng))
    head, ratings, n_responses, counts = responses(rng)
    expected = calibration.expected_rating(head)
    assert expected.min() >= 1
    assert expected.max() <= 5
    for low in np.arange(1, 5, 0.5):
        near = (expected >= low) & (expected < low + 0.5)
        if near.sum() > 500:
            assert ratings[near].mean() == pytest.approx(expected[near].mean(), abs=0.1)
    stated = calibration.confidence_of(expected, n_responses, counts)
    curve = reliability_curve(stated, within_one_star(expected, ratings))
    assert curve.expected_calibration_error < 0.03
    assert stated[counts > 150].mean() > stated[counts < 5].mean() + 0.1
