import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from experiments.core.bayesian import NormalPrior, Posterior, credible_interval, posterior
from experiments.core.effects import lift
from experiments.core.moments import Moments

TENS = Moments.of_mean(10, 100, 1002.25), Moments.of_mean(10, 105, 1111.5)


def test_a_proportion_matches_growthbook():
    result = lift(Moments.of_mean(100, 49, 49), Moments.of_mean(100, 51, 51), kind="proportion")
    belief = posterior(result)
    printed = (belief.mean, *belief.interval(), belief.sd, belief.chance_to_win(), *belief.risk())
    expected = (0.04082, -0.24779, 0.32943, 0.14725, 0.60918, 0.0814, 0.04058)
    assert tuple(round(value, 5) for value in printed) == expected


def test_a_mean_matches_growthbook():
    belief = posterior(lift(*TENS))
    printed = (belief.mean, *belief.interval(), belief.chance_to_win(), *belief.risk())
    assert tuple(round(value, 5) for value in printed) == (
        0.05,
        -0.02,
        0.12,
        0.91923,
        0.05131,
        0.00131,
    )


def test_a_prior_matches_growthbook():
    belief = posterior(lift(*TENS), NormalPrior(0.1, 0.1))
    printed = (belief.mean, *belief.interval(), belief.chance_to_win())
    assert tuple(round(value, 5) for value in printed) == (0.05063, -0.01893, 0.12019, 0.92315)


def test_risk_matches_growthbook():
    assert Posterior(0.1, 0.05).risk() == pytest.approx((0.1004245351308, 0.0004245351308))


@given(st.floats(-3, 3), st.floats(0.05, 3))
def test_risk_is_the_expected_loss(mean, sd):
    belief = Posterior(mean, sd)
    gain, _ = integrate.quad(lambda x: x * stats.norm.pdf(x, mean, sd), 0, mean + 12 * sd + 12)
    control, treatment = belief.risk()
    assert control == pytest.approx(gain, abs=1e-6)
    assert control - treatment == pytest.approx(mean)
    assert min(control, treatment) >= 0
    assert belief.risk(higher_is_better=False) == (treatment, control)


def test_certainty_does_not_underflow():
    assert Posterior(50.0, 1.0).risk() == (50.0, 0.0)
    assert Posterior(-50.0, 1.0).risk() == (0.0, 50.0)


def test_lower_is_better_mirrors_the_chance():
    belief = posterior(lift(*TENS))
    chances = belief.chance_to_win(), belief.chance_to_win(higher_is_better=False)
    assert sum(chances) == pytest.approx(1)


def test_the_prior_is_scaled_to_an_absolute_difference():
    relative = posterior(lift(*TENS), NormalPrior(0.1, 1e-12))
    absolute = posterior(lift(*TENS, relative=False), NormalPrior(0.1, 1e-12))
    assert absolute.mean == pytest.approx(10 * relative.mean, rel=1e-6)


def test_a_flat_prior_gives_the_frequentist_normal_interval():
    result = lift(*TENS)
    between = credible_interval(result, alpha=0.05)
    z = 1.959963984540054
    assert between.low == pytest.approx(result.estimate - z * result.se)
    assert between.p_value == pytest.approx(2 * stats.norm.sf(result.estimate / result.se))


def test_a_prior_without_spread_is_refused():
    with pytest.raises(ValueError, match="variance"):
        posterior(lift(*TENS), NormalPrior(0, 0))
