import uuid
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import chisquare, norm

from bandits.core.linear import LinearPosterior, LinearPrior
from bandits.core.policy import ThompsonSampling, Uniform
from bandits.core.probabilities import draw, nonce, probabilities_of_being_best, with_floor
from bandits.core.statistics import RewardChanges, Statistics

arms = st.lists(
    st.tuples(st.floats(-3, 3), st.floats(-6, 3).map(np.exp)), min_size=2, max_size=6
).map(lambda pairs: (np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])))


def by_brute_force(means, sds):
    """The same integral by 300,001 equidistant nodes per arm."""
    t, step = np.linspace(-9, 9, 300_001, retstep=True)
    result = []
    for k in range(len(means)):
        others = [i for i in range(len(means)) if i != k]
        y = means[k] + sds[k] * t
        product = np.prod([ndtr((y - means[i]) / sds[i]) for i in others], axis=0)
        result.append((norm.pdf(t) * product).sum() * step)
    return np.array(result)


def test_two_arms_have_the_textbook_probability():
    means, sds = np.array([0.3, 0.1]), np.array([0.2, 0.15])
    expected = norm.cdf(0.2 / np.hypot(0.2, 0.15))
    assert probabilities_of_being_best(means, sds)[0] == pytest.approx(expected, abs=1e-13)


def test_equal_arms_share_alike():
    result = probabilities_of_being_best(np.zeros(5), np.full(5, 0.7))
    np.testing.assert_allclose(result, 0.2, atol=1e-14)


@pytest.mark.parametrize(
    ("means", "sds"),
    [
        ([0.5, 0.52, 0.4, 0.45, 0.5], [0.05, 0.04, 0.1, 0.02, 0.2]),
        ([0.5, 0.5, 0.6, 0.1, 0.9], [0.001, 2.0, 0.3, 0.01, 1.0]),  # a new arm among old ones
        ([0.0, 1.0, 0.0], [0.01, 0.01, 10.0]),
    ],
)
def test_error_is_below_one_in_a_billion(means, sds):
    means, sds = np.array(means), np.array(sds)
    error = np.abs(probabilities_of_being_best(means, sds) - by_brute_force(means, sds)).max()
    assert error < 1e-9


@given(arms)
@settings(max_examples=200, deadline=None)
def test_probabilities_sum_to_one_and_move_with_scale_and_order(scores):
    means, sds = scores
    result = probabilities_of_being_best(means, sds)
    assert result.min() >= 0
    assert result.sum() == pytest.approx(1, abs=1e-12)
    moved = probabilities_of_being_best(5 + 3 * means[::-1], 3 * sds[::-1])[::-1]
    np.testing.assert_allclose(moved, result, atol=1e-9)


@given(arms)
@settings(max_examples=50, deadline=None)
def test_two_arms_agree_with_the_closed_form_at_any_ratio_of_deviations(scores):
    means, sds = scores[0][:2], scores[1][:2]
    expected = norm.cdf((means[0] - means[1]) / np.hypot(*sds))
    assert probabilities_of_being_best(means, sds)[0] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    ("means", "sds"), [([], []), ([1.0, 2.0], [1.0]), ([0.0, np.nan], [1, 1]), ([0, 0], [1, 0])]
)
def test_scores_that_are_none_are_refused(means, sds):
    with pytest.raises(ValueError, match="means"):
        probabilities_of_being_best(np.array(means, float), np.array(sds, float))


def test_the_floor_is_kept_and_the_sum_stays_one():
    np.testing.assert_allclose(with_floor(np.array([1.0, 0.0, 0.0]), 0.02), [0.96, 0.02, 0.02])
    np.testing.assert_allclose(with_floor(np.array([1.0, 0.0]), 0.9), [0.5, 0.5])
    # Lifting the last takes the second below the floor, so it is lifted too.
    lifted = with_floor(np.array([0.7, 0.201, 0.099]), 0.2)
    np.testing.assert_allclose(lifted, [0.6, 0.2, 0.2])
    enough = np.array([0.5, 0.3, 0.2])
    np.testing.assert_allclose(with_floor(enough, 0.2), enough)
    with pytest.raises(ValueError, match="floor"):
        with_floor(np.array([1.0]), -0.1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(any).map(np.array), st.floats(0, 1))
def test_a_floor_moves_nothing_past_another_and_shrinks_the_rest_alike(weights, floor):
    probabilities = weights / weights.sum()
    result = with_floor(probabilities, floor)
    lowest = min(floor, 1 / len(weights))
    assert result.sum() == pytest.approx(1)
    assert result.min() >= lowest - 1e-12
    assert (np.diff(result[np.argsort(probabilities)]) >= -1e-12).all()
    above = (result > lowest + 1e-9) & (probabilities > 1e-9)
    ratios = result[above] / probabilities[above]
    np.testing.assert_allclose(ratios, ratios[:1].repeat(len(ratios)), rtol=1e-6)


def test_the_nonce_of_a_request_never_changes():
    """Frozen: another value would make logged decisions impossible to replay."""
    request = UUID("12345678-1234-5678-1234-567812345678")
    assert nonce("recommendation_strategy", request) == 0.45380116934853554
    assert nonce("another", request) != 0.45380116934853554


def test_an_arm_of_probability_zero_is_never_drawn():
    assert draw(np.array([0.0, 0.5, 0.5, 0.0]), 0.0) == 1
    assert draw(np.array([0.0, 0.5, 0.5 - 1e-17, 0.0]), 1 - 2**-53) == 2
    with pytest.raises(ValueError, match="uniform"):
        draw(np.array([1.0]), 1.0)


def trained(rng, *, floor, exploration=1.0):
    posteriors = {}
    for arm in "abcde":
        x = rng.uniform(-1, 1, (40, 4))
        rewards = x @ rng.normal(0, 0.2, 4) + rng.normal(0.5, 0.25, 40)
        changes = RewardChanges.first(x, np.zeros(40), rewards)
        sums = Statistics.empty(4, reference=0).changed(changes)
        posteriors[arm] = LinearPosterior.from_statistics(sums, LinearPrior.centred(4), at=0)
    return ThompsonSampling(posteriors, floor=floor, exploration=exploration)


@pytest.mark.parametrize(
    ("floor", "eligible"),
    [(0.0, "abcde"), (0.02, "abcde"), (0.02, "abde"), (0.1, "ec"), (0.02, "d")],
    ids=["plain", "floor", "one paused", "two eligible", "pinned"],
)
def test_chosen_frequencies_match_the_logged_probabilities_over_100000_draws(floor, eligible):
    rng = np.random.default_rng(5)
    policy = trained(rng, floor=floor)
    logged = policy.distribution(np.array([0.3, -0.5, 0.8, 1.0]), eligible).probabilities
    requests = (UUID(bytes=rng.bytes(16), version=4) for _ in range(100_000))
    chosen = [draw(logged, nonce("calibration", request)) for request in requests]
    counts = np.bincount(chosen, minlength=len(eligible))
    assert logged.min() >= min(floor, 1 / len(eligible))
    if len(eligible) > 1:
        assert chisquare(counts, 100_000 * logged).pvalue > 1e-3
    else:
        assert counts.tolist() == [100_000]


def test_chosen_frequencies_match_also_over_changing_contexts():
    rng = np.random.default_rng(6)
    policy = trained(rng, floor=0.02)
    expected, counts = np.zeros(5), np.zeros(5)
    variance = np.zeros(5)
    for context in rng.uniform(-1, 1, (4000, 4)):
        logged = policy.distribution(context, "abcde").probabilities
        counts[draw(logged, nonce("calibration", uuid.UUID(bytes=rng.bytes(16))))] += 1
        expected += logged
        variance += logged * (1 - logged)
    assert np.abs((counts - expected) / np.sqrt(variance)).max() < 4


def test_exact_probabilities_are_those_of_sampling_the_scores():
    rng = np.random.default_rng(7)
    policy = trained(rng, floor=0.0)
    x = np.array([0.2, 0.1, -0.9, 1.0])
    weights = [
        rng.multivariate_normal(belief.mean, belief.covariance, 100_000) @ x
        for belief in policy.posteriors.values()
    ]
    counts = np.bincount(np.argmax(weights, axis=0), minlength=5)
    exact = policy.distribution(x, "abcde").probabilities
    assert chisquare(counts, 100_000 * exact).pvalue > 1e-3


class TestPolicies:
    """What every policy keeps to."""

    @pytest.fixture(params=["uniform", "thompson"])
    def policy(self, request):
        if request.param == "uniform":
            return Uniform()
        return trained(np.random.default_rng(1), floor=0.02)

    def test_probabilities_are_over_the_eligible_arms_in_their_order(self, policy):
        x = np.array([0.2, 0.1, -0.9, 1.0])
        forward, backward = policy.distribution(x, "ab"), policy.distribution(x, "ba")
        assert forward.arms == ("a", "b")
        np.testing.assert_allclose(forward.probabilities, backward.probabilities[::-1], atol=1e-12)
        assert forward.probabilities.sum() == pytest.approx(1)

    @pytest.mark.parametrize("eligible", ["", "aa"])
    def test_no_arm_or_one_twice_is_refused(self, policy, eligible):
        with pytest.raises(ValueError, match="eligible"):
            policy.distribution(np.ones(4), eligible)


def test_an_unknown_arm_and_a_context_of_another_schema_are_refused():
    policy = trained(np.random.default_rng(1), floor=0.02)
    with pytest.raises(ValueError, match="unknown arms"):
        policy.distribution(np.ones(4), "az")
    with pytest.raises(ValueError, match="context"):
        policy.distribution(np.ones(5), "ab")
