import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.core import metrics

LISTS = st.lists(st.integers(0, 30), min_size=1, max_size=20, unique=True)
RELEVANT = st.sets(st.integers(0, 30), min_size=1, max_size=20)


def test_ndcg_of_a_hand_worked_list():
    # Relevant at ranks 2 and 3 of 5, three relevant in all.
    gain = 1 / np.log2(3) + 1 / np.log2(4)
    ideal = 1 / np.log2(2) + 1 / np.log2(3) + 1 / np.log2(4)
    assert metrics.ndcg_at_k([9, 1, 2, 8, 7], {1, 2, 3}, k=5) == pytest.approx(gain / ideal)


def test_ndcg_takes_its_ideal_from_k_places():
    assert metrics.ndcg_at_k([1, 2], {1, 2, 3, 4}, k=2) == pytest.approx(1)


def test_recall_and_hit_rate_of_a_hand_worked_list():
    assert metrics.recall_at_k([9, 1, 2, 8], {1, 2, 3}, k=2) == pytest.approx(1 / 3)
    assert metrics.hit_rate_at_k([9, 1, 2, 8], {1, 2, 3}, k=2) == 1
    assert metrics.hit_rate_at_k([9, 1, 2, 8], {1, 2, 3}, k=1) == 0


def test_nothing_relevant_has_no_score():
    assert np.isnan(metrics.ndcg_at_k([1, 2], set(), k=2))
    assert np.isnan(metrics.recall_at_k([1, 2], set(), k=2))
    assert np.isnan(metrics.hit_rate_at_k([1, 2], set(), k=2))


def test_k_larger_than_the_list_counts_what_is_there():
    assert metrics.recall_at_k([1], {1, 2}, k=10) == 0.5
    assert metrics.ndcg_at_k([1], {1}, k=10) == 1


@pytest.mark.parametrize("metric", [metrics.ndcg_at_k, metrics.recall_at_k, metrics.hit_rate_at_k])
def test_k_below_one_is_refused(metric):
    with pytest.raises(ValueError, match="k must be >= 1"):
        metric([1, 2], {1}, k=0)


@given(ranked=LISTS, relevant=RELEVANT, k=st.integers(1, 25))
def test_metrics_stay_in_the_unit_interval_and_swapping_a_hit_up_never_lowers_ndcg(
    ranked, relevant, k
):
    before = metrics.ndcg_at_k(ranked, relevant, k=k)
    assert 0 <= before <= 1 + 1e-12
    assert 0 <= metrics.recall_at_k(ranked, relevant, k=k) <= 1
    for place in range(1, len(ranked)):
        if ranked[place] in relevant and ranked[place - 1] not in relevant:
            better = ranked.copy()
            better[place - 1], better[place] = better[place], better[place - 1]
            assert metrics.ndcg_at_k(better, relevant, k=k) >= before - 1e-12


def test_a_tie_counts_against_the_target():
    assert metrics.rank_among_candidates(1.0, np.array([0.5, 1.0, 2.0])) == 3
    assert metrics.rank_among_candidates(1.0, np.array([0.5, 0.2])) == 1


def test_a_score_that_is_not_a_number_never_ranks_above():
    assert metrics.rank_among_candidates(float("nan"), np.array([0.0, 1.0])) == 3
    assert metrics.rank_among_candidates(1.0, np.array([np.nan, 0.0])) == 2


def test_coverage_counts_tracks_shown_to_anyone():
    assert metrics.coverage([np.array([0, 1]), np.array([1, 2])], n_tracks=6) == 0.5
    assert metrics.coverage([], n_tracks=6) == 0


def test_novelty_of_a_hand_worked_case():
    # 3 of 3 listeners know track 0, nobody track 1: log2(4/4) and log2(4/1).
    assert metrics.novelty([np.array([0, 1])], np.array([3, 0]), n_users=3) == pytest.approx(1)


def test_gini_is_zero_when_all_are_shown_alike_and_near_one_when_one_has_all():
    assert metrics.gini([np.arange(5), np.arange(5)], n_tracks=5) == pytest.approx(0)
    assert metrics.gini([np.array([0])] * 10, n_tracks=100) == pytest.approx(0.99)


def test_gini_of_a_hand_worked_case():
    # Shown 1, 1 and 2 times: mean absolute difference 4/9, over twice the mean 4/3.
    assert metrics.gini([np.array([0, 1, 2]), np.array([2])], n_tracks=3) == pytest.approx(1 / 6)


def test_errors_of_a_hand_worked_case():
    assert metrics.mean_absolute_error(np.array([1.0, 2.0]), np.array([2.0, 4.0])) == 1.5
    assert metrics.root_mean_squared_error(
        np.array([1.0, 2.0]), np.array([2.0, 4.0])
    ) == pytest.approx(np.sqrt(2.5))


def test_reliability_of_a_hand_worked_case():
    stated = np.array([0.2, 0.2, 0.8, 0.8])
    curve = metrics.reliability_curve(stated, np.array([False, True, True, True]), n_bins=2)
    assert curve.stated == pytest.approx((0.2, 0.8))
    assert curve.observed == (0.5, 1.0)
    assert curve.expected_calibration_error == pytest.approx((0.3 + 0.2) / 2)


def test_probabilities_that_come_true_are_calibrated():
    rng = np.random.default_rng(1)
    stated = rng.random(50_000)
    curve = metrics.reliability_curve(stated, rng.random(50_000) < stated)
    assert curve.expected_calibration_error < 0.02
