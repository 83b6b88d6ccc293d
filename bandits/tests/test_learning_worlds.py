"""What the policies make of worlds whose best arm is known."""

import numpy as np
import pytest

from bandits.core.trial import Settings, play
from bandits.core.worlds import linear_world, logistic_world


@pytest.mark.parametrize(
    ("make", "policy"),
    [(linear_world, "linear"), (logistic_world, "linear"), (logistic_world, "logistic")],
)
def test_regret_is_a_fraction_of_that_of_uniform_choice(make, policy):
    world = make(np.random.default_rng(0), n=1500, n_features=5)
    regret = play(world, Settings(policy=policy)).regret
    uniform = play(world, Settings(policy="uniform")).regret
    assert regret.sum() < 0.45 * uniform.sum()
    assert regret[-500:].sum() < 0.35 * uniform[-500:].sum()


def test_after_a_change_of_the_best_arm_forgetting_follows_and_remembering_lags():
    """The best arm gives 0.7 instead of 0.4; half-way another takes its place."""
    n, rng = 4000, np.random.default_rng(1)
    world = linear_world(rng, n=n, n_features=4)
    expected = np.full((n, 5), 0.4)
    expected[: n // 2, 0] = 0.7
    expected[n // 2 :, 1] = 0.7
    noisy = expected + rng.normal(0, 0.25, expected.shape)
    world = type(world)(world.contexts, expected, noisy)
    share = {}
    for half_life in (300.0, np.inf):
        played = play(world, Settings(half_life=half_life)).played
        share[half_life] = (played[n // 2 + 700 : n // 2 + 1000] == 1).mean()
    assert share[300.0] > 0.5
    assert share[np.inf] < 0.5


def test_worlds_are_what_they_say():
    world = linear_world(np.random.default_rng(0), n=4000, drift=True)
    assert world.gaps.min() == 0
    assert world.expected.std(axis=0).mean() == pytest.approx(0.2, rel=0.3)
    residual = world.rewards - world.expected
    assert residual.std() == pytest.approx(0.25, rel=0.02)
    rates = logistic_world(np.random.default_rng(0), n=4000)
    assert set(np.unique(rates.rewards)) == {0.0, 1.0}
    assert rates.rewards.mean() == pytest.approx(rates.expected.mean(), abs=0.02)
