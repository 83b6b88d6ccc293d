import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from bandits.core.linear import LinearPosterior, LinearPrior
from bandits.core.logistic import LogisticPosterior
from bandits.core.statistics import RewardChanges, Statistics

DIM = 4
HOUR = 3600.0


def change(context, decided, before, after):
    return RewardChanges(
        np.array([context], float),
        np.array([decided], float),
        np.array([np.nan if before is None else before]),
        np.array([np.nan if after is None else after]),
    )


def posterior(sums, at=0.0):
    return LinearPosterior.from_statistics(sums, LinearPrior.centred(DIM), at=at)


def assert_same(first, second, rtol=1e-9):
    np.testing.assert_allclose(first.mean, second.mean, rtol=0, atol=rtol)
    np.testing.assert_allclose(first.precision, second.precision, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(first.covariance, second.covariance, rtol=rtol, atol=rtol)
    assert first.noise_variance == pytest.approx(second.noise_variance, rel=rtol)


reward = st.none() | st.floats(0, 1)
histories = st.lists(  # per decision: context, when it was taken, and its rewards as they changed
    st.tuples(
        st.lists(st.floats(-1, 1), min_size=DIM, max_size=DIM),
        st.floats(0, 2000 * HOUR),
        st.lists(reward, min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=12,
)


@given(histories, st.randoms(use_true_random=False), st.sampled_from([np.inf, 720 * HOUR, HOUR]))
@settings(max_examples=150, deadline=None)
def test_rewards_corrected_in_any_order_end_at_the_closed_form(histories, random, half_life):
    empty = Statistics.empty(DIM, reference=0.0, half_life=half_life)
    # Each decision's changes stay in their order; those of different decisions interleave.
    steps = []
    for context, decided, rewards in histories:
        before = [None, *rewards[:-1]]
        steps.append([change(context, decided, b, a) for b, a in zip(before, rewards, strict=True)])
    sums = empty
    while steps:
        queue = random.choice(steps)
        sums = sums.changed(queue.pop(0))
        steps = [left for left in steps if left]
    final = [(c, t, r[-1]) for c, t, r in histories if r[-1] is not None]
    closed = empty
    if final:
        contexts, decided, rewards = (
            np.array(column, float) for column in zip(*final, strict=True)
        )
        closed = closed.changed(RewardChanges.first(contexts, decided, rewards))
    at = 2000 * HOUR
    assert sums.count == closed.count == len(final)
    assert_same(posterior(sums, at), posterior(closed, at))


def test_the_posterior_is_the_textbook_one():
    rng = np.random.default_rng(0)
    x, r = rng.normal(size=(30, DIM)), rng.random(30)
    prior = LinearPrior(np.array([0.1, 0, 0, 0.5]), 3.0, noise_variance=0.04, noise_weight=5)
    sums = Statistics.empty(DIM, reference=0).changed(RewardChanges.first(x, np.zeros(30), r))
    result = LinearPosterior.from_statistics(sums, prior, at=0)
    precision = x.T @ x + 3 * np.eye(DIM)
    mean = np.linalg.inv(precision) @ (x.T @ r + 3 * prior.mean)
    # Residuals and the shift from the prior, instead of the difference of large sums.
    misfit = ((r - x @ mean) ** 2).sum() + 3 * ((mean - prior.mean) ** 2).sum()
    noise = (5 * 0.04 + misfit) / 35
    np.testing.assert_allclose(result.mean, mean, atol=1e-12)
    np.testing.assert_allclose(result.precision @ result.mean, result.eta, atol=1e-12)
    np.testing.assert_allclose(result.covariance, noise * np.linalg.inv(precision), atol=1e-12)
    assert result.noise_variance == pytest.approx(noise)


def test_the_noise_is_found():
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.uniform(-1, 1, (5000, DIM - 1)), np.ones(5000)])
    r = x @ [0.1, -0.2, 0.05, 0.5] + rng.normal(0, 0.1, 5000)
    sums = Statistics.empty(DIM, reference=0).changed(RewardChanges.first(x, np.zeros(5000), r))
    assert posterior(sums).noise_variance == pytest.approx(0.01, rel=0.06)


def test_an_untried_arm_is_the_prior():
    result = posterior(Statistics.empty(DIM, reference=0))
    np.testing.assert_allclose(result.mean, [0, 0, 0, 0.5])
    np.testing.assert_allclose(result.covariance, 0.0625 / 2 * np.eye(DIM))


def test_after_a_half_life_data_counts_half_and_the_prior_is_whole():
    context = [1.0, 0, 0, 1.0]
    sums = Statistics.empty(DIM, reference=0, half_life=HOUR).changed(change(context, 0, None, 1))
    gram = np.outer(context, context)
    for hours in (0, 1, 2):
        precision = posterior(sums, at=hours * HOUR).precision
        np.testing.assert_allclose(precision, 0.5**hours * gram + 2 * np.eye(DIM))


def test_everything_forgotten_is_the_prior_and_not_a_singular_matrix():
    sums = Statistics.empty(DIM, reference=0, half_life=HOUR)
    sums = sums.changed(change([1, 1, 1, 1], 0, None, 1))
    result = posterior(sums, at=10_000 * HOUR)
    np.testing.assert_allclose(result.mean, [0, 0, 0, 0.5], atol=1e-12)
    assert np.linalg.eigvalsh(result.precision).min() == pytest.approx(2)


def test_years_of_decisions_do_not_overflow_the_weights():
    sums = Statistics.empty(DIM, reference=0, half_life=HOUR)
    for day in range(0, 4000, 50):
        sums = sums.changed(change([1, 0, 0, 1], day * 24 * HOUR, None, 0.5))
    assert np.isfinite(sums.gram).all()
    last = posterior(sums, at=3950 * 24 * HOUR)
    np.testing.assert_allclose(last.precision[0, 0], 2 + 1, atol=1e-9)


def test_sums_survive_storage_to_the_bit():
    sums = Statistics.empty(DIM, reference=5.0, half_life=HOUR).changed(
        change([0.1, 0.2, 0.3, 1], 7.0, None, 0.7)
    )
    data = sums.to_bytes()
    again = Statistics.from_bytes(data, DIM, reference=sums.reference, half_life=HOUR)
    assert again.to_bytes() == data
    assert (again.gram == sums.gram).all()
    with pytest.raises(ValueError, match="dimensions"):
        Statistics.from_bytes(data, DIM + 1, reference=0, half_life=HOUR)


def test_merged_sums_are_those_over_both():
    first, second = change([1, 0, 0, 1], 0, None, 0.2), change([0, 1, 0, 1], HOUR, None, 0.9)
    empty = Statistics.empty(DIM, reference=0, half_life=HOUR)
    later = Statistics.empty(DIM, reference=3 * HOUR, half_life=HOUR)
    merged = empty.changed(first).merged(later.changed(second))
    assert_same(posterior(merged, 9.0), posterior(empty.changed(first).changed(second), 9.0))
    with pytest.raises(ValueError, match="half-life"):
        empty.merged(Statistics.empty(DIM, reference=0))


def test_contexts_of_another_dimension_are_refused():
    with pytest.raises(ValueError, match="columns"):
        Statistics.empty(DIM + 1, reference=0).changed(change([1, 0, 0, 1], 0, None, 1))


class TestLogistic:
    def fit(self, x, r, **arguments):
        return LogisticPosterior.fit(
            x, r, prior_mean=np.zeros(x.shape[1]), prior_precision=1.0, **arguments
        )

    def test_the_mode_has_no_gradient_and_the_covariance_is_the_inverse_hessian(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(200, 3))
        r = (rng.random(200) < expit(x @ [1, -1, 0.5])).astype(float)
        fitted = self.fit(x, r)
        rates = expit(x @ fitted.mean)
        np.testing.assert_allclose(x.T @ (rates - r) + fitted.mean, 0, atol=1e-9)
        hessian = (x.T * (rates * (1 - rates))) @ x + np.eye(3)
        np.testing.assert_allclose(fitted.covariance @ hessian, np.eye(3), atol=1e-9)
        assert np.abs(fitted.mean - [1, -1, 0.5]).max() < 0.5

    def test_separable_rewards_stay_finite_by_the_prior(self):
        x = np.column_stack([np.linspace(-1, 1, 40) * 100, np.ones(40)])
        fitted = self.fit(x, (x[:, 0] > 0).astype(float))
        assert np.isfinite(fitted.mean).all()
        assert fitted.mean[0] > 0

    def test_a_bad_start_ends_at_the_same_mode(self):
        rng = np.random.default_rng(2)
        x = rng.normal(size=(50, 3))
        r = rng.random(50)
        far = self.fit(x, r, start=np.array([30.0, -30.0, 30.0]))
        np.testing.assert_allclose(far.mean, self.fit(x, r).mean, atol=1e-8)

    def test_half_a_weight_twice_is_one_reward(self):
        x, r = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([1.0, 1.0])
        halves = self.fit(x, r, weights=np.array([0.5, 0.5]))
        np.testing.assert_allclose(halves.mean, self.fit(x[:1], r[:1]).mean, atol=1e-12)

    def test_no_rewards_give_the_prior(self):
        fitted = self.fit(np.zeros((0, 2)), np.zeros(0))
        np.testing.assert_allclose(fitted.mean, 0)
        np.testing.assert_allclose(fitted.covariance, np.eye(2))

    def test_a_reward_outside_zero_to_one_is_refused(self):
        with pytest.raises(ValueError, match="rewards"):
            self.fit(np.ones((1, 2)), np.array([1.5]))
