import numpy as np
import pytest

from bandits.core.evaluation import (
    Log,
    Support,
    ThinSupport,
    effective_sample_size,
    estimates,
    evaluate,
    modelled_rewards,
)
from bandits.core.intervals import asymptotic_half_width

# Computed with the Open Bandit Pipeline's own classes; IPS and SNIPS also equal vw-estimators.
VECTOR = Log(
    chosen=np.array([0, 1, 2, 0, 1, 2]),
    rewards=np.array([1.0, 0, 1, 0, 1, 0]),
    propensities=np.array([0.5, 0.3, 0.2, 0.6, 0.1, 0.25]),
    target=np.array(
        [
            [0.2, 0.3, 0.5],
            [0.1, 0.8, 0.1],
            [0.3, 0.3, 0.4],
            [0.25, 0.5, 0.25],
            [0.2, 0.7, 0.1],
            [0.6, 0.2, 0.2],
        ]
    ),
    modelled=np.array(
        [
            [0.6, 0.2, 0.4],
            [0.5, 0.3, 0.5],
            [0.4, 0.4, 0.7],
            [0.2, 0.3, 0.1],
            [0.5, 0.9, 0.3],
            [0.3, 0.2, 0.1],
        ]
    ),
    listeners=np.arange(6),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IPS", 1.5666666666666667),
        ("SNIPS", 0.7076537013801756),
        ("DM", 0.4108333333333333),
        ("DR", 0.4936111111111112),
        ("SNDR", 0.4482235466332078),
        ("SWITCH-DR", 0.3769444444444445),
        ("DRos", 0.4197524154219694),
    ],
)
def test_estimators_give_the_reference_values(name, expected):
    assert estimates(VECTOR, switch=3, shrink=1)[name] == pytest.approx(expected, abs=1e-12)


def test_clipped_ips_gives_the_reference_value():
    assert estimates(VECTOR, clip=3)["IPS"] == pytest.approx(0.9, abs=1e-12)


def test_effective_sample_size_of_equal_weights_is_their_number():
    assert effective_sample_size(np.full(7, 0.3)) == pytest.approx(7)
    assert effective_sample_size(np.array([1.0, 0, 0])) == 1
    assert effective_sample_size(np.zeros(3)) == 0


def simulated(rng, *, n=4000, n_listeners=200, fixed=0):
    """Listeners differ, the log favours arm 0 for those whom everything pleases.

    So arm 0's logged mean says more of its listeners than of the arm.
    """
    listeners = rng.integers(n_listeners, size=n)
    pleased = rng.uniform(-1, 1, n_listeners)[listeners]
    contexts = np.column_stack([pleased, np.ones(n)])
    favoured = 0.2 + 0.6 / (1 + np.exp(-4 * pleased))  # probability of arm 0
    logged = np.column_stack([favoured, (1 - favoured) / 2, (1 - favoured) / 2])
    chosen = (rng.random(n)[:, None] > logged.cumsum(axis=1)[:, :-1]).sum(axis=1)
    means = 0.5 + 0.3 * pleased[:, None] + np.array([0.0, 0.1, -0.1])
    rewards = (rng.random(n) < means[np.arange(n), chosen]).astype(float)
    target = np.zeros((n, 3))
    target[:, fixed] = 1
    log = Log(
        chosen=chosen,
        rewards=rewards,
        propensities=logged[np.arange(n), chosen],
        target=target,
        modelled=modelled_rewards(contexts, chosen, rewards, listeners, n_arms=3),
        listeners=listeners,
    )
    return log, float(means[:, fixed].mean())


def test_estimates_are_unbiased_where_the_naive_mean_is_not():
    errors, naive = [], []
    for seed in range(40):
        log, truth = simulated(np.random.default_rng(seed), n=1500)
        values = estimates(log)
        errors.append([values[name] - truth for name in ("IPS", "SNIPS", "DR", "SNDR")])
        naive.append(log.rewards[log.chosen == 0].mean() - truth)
    errors = np.array(errors)
    standard_errors = errors.std(axis=0, ddof=1) / np.sqrt(len(errors))
    assert (np.abs(errors.mean(axis=0)) < 3.5 * standard_errors).all()
    assert np.abs(errors.mean(axis=0)).max() < 0.01
    assert np.mean(naive) > 0.05


def test_doubly_robust_varies_less_than_ips():
    values = [estimates(simulated(np.random.default_rng(s), n=1000)[0]) for s in range(30)]
    spread = {name: np.std([value[name] for value in values]) for name in ("IPS", "DR")}
    assert spread["DR"] < spread["IPS"]


def test_intervals_over_listeners_cover_the_truth():
    inside = dict.fromkeys(("SNIPS", "DR"), 0)
    always = dict.fromkeys(("SNIPS", "DR"), 0)
    for seed in range(60):
        rng = np.random.default_rng(1000 + seed)
        log, truth = simulated(rng, n=1500)
        result = evaluate(log, rng, n_resamples=200)
        for name in inside:
            estimate = result.estimates[name]
            inside[name] += estimate.low <= truth <= estimate.high
            always[name] += abs(estimate.value - truth) <= estimate.anytime
    assert all(count >= 51 for count in inside.values()), inside  # of 60, at a nominal 57
    assert all(count >= 59 for count in always.values()), always


def test_the_interval_is_wider_where_decisions_of_one_listener_agree():
    log, _ = simulated(np.random.default_rng(3))
    lone = Log(**(vars(log) | {"listeners": np.arange(len(log.rewards))}))
    widths = []
    for which in (log, lone):
        estimate = evaluate(which, np.random.default_rng(0)).estimates["SNIPS"]
        widths.append(estimate.high - estimate.low)
    assert widths[0] > 1.05 * widths[1]


def thin(**changes):
    n = 300
    fields = {
        "chosen": np.zeros(n, int),
        "rewards": np.full(n, 0.5),
        "propensities": np.full(n, 0.5),
        "target": np.tile([1.0, 0.0], (n, 1)),
        "modelled": np.full((n, 2), 0.5),
        "listeners": np.arange(n),
    } | changes
    return Log(**fields)


HALF_LEFT = np.outer(np.arange(300) < 150, [1.0, 0.0])  # the second half is the log's


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (VECTOR, "6 of 6 decisions"),
        (thin(target=np.eye(300, 2)), "2 of 300 decisions"),
        (thin(target=HALF_LEFT, listeners=np.maximum(np.arange(300), 150)), "1 listeners"),
        (thin(listeners=np.arange(300) % 5), "5 listeners"),
        (thin(target=np.tile([0.0, 1.0], (300, 1))), "no logged decision"),
        (thin(propensities=np.r_[0.0001, np.full(299, 0.5)]), r"worth 1\.\d decisions"),
        (thin(propensities=np.r_[0.015, np.full(299, 0.5)]), "one decision holds"),
    ],
)
def test_thin_support_is_refused_with_the_reason(log, reason):
    with pytest.raises(ThinSupport, match=reason):
        evaluate(log, np.random.default_rng(0))


def test_enough_support_is_answered():
    result = evaluate(thin(), np.random.default_rng(0), support=Support())
    assert result.effective_sample_size == pytest.approx(300)
    assert result.largest_weight == 2
    assert result.estimates["SNIPS"].value == pytest.approx(0.5)


def test_propensities_that_are_none_are_refused():
    with pytest.raises(ValueError, match="propensities"):
        thin(propensities=np.zeros(300))
    with pytest.raises(ValueError, match="target"):
        thin(target=np.full((300, 2), 0.4))


@pytest.mark.parametrize("name", ["IPS", "DM", "DR", "SWITCH-DR", "DRos"])
def test_where_the_target_leaves_the_choice_it_earns_what_was_earned(name):
    fields = vars(VECTOR)
    left = Log(**fields | {"target": np.where(np.arange(6)[:, None] < 4, VECTOR.target, 0.0)})
    rest = Log(**{field: value[:4] for field, value in fields.items()})
    expected = (4 * estimates(rest)[name] + VECTOR.rewards[4:].sum()) / 6
    assert estimates(left)[name] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["SNIPS", "SNDR"])
def test_what_the_target_leaves_keeps_estimates_near_the_truth(name):
    errors = []
    for seed in range(40):
        log, truth = simulated(np.random.default_rng(seed), n=1500)
        left = np.arange(1500) % 3 == 0
        mixed = Log(**vars(log) | {"target": np.where(left[:, None], 0.0, log.target)})
        expected = 2 / 3 * truth + 1 / 3 * log.rewards[left].mean()
        errors.append(estimates(mixed)[name] - expected)
    assert abs(np.mean(errors)) < 0.01


def test_only_decisions_that_are_the_targets_count_as_its_support():
    result = evaluate(thin(target=HALF_LEFT), np.random.default_rng(0))
    assert (result.n, result.left_out) == (300, 150)
    assert result.effective_sample_size == pytest.approx(150)
    assert result.largest_weight == 2


def test_a_reward_never_predicts_itself():
    rng = np.random.default_rng(0)
    contexts = np.column_stack([rng.normal(size=(60, 30)), np.ones(60)])
    rewards = rng.random(60)
    chosen = np.zeros(60, int)
    modelled = modelled_rewards(contexts, chosen, rewards, np.arange(60), n_arms=1, precision=1e-6)
    # 31 weights fitted to 48 rewards would explain most of them, had they been in the fit.
    assert np.corrcoef(modelled[:, 0], rewards)[0, 1] < 0.3


def test_the_anytime_interval_covers_at_every_look():
    missed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        means = rng.random(3000).cumsum() / np.arange(1, 3001) - 0.5
        missed += any(
            abs(means[n - 1]) > asymptotic_half_width(n=n, variance=1 / 12)
            for n in range(20, 3001, 20)
        )
    assert missed <= 16  # of 200 at a nominal 10; looks at 1.96 standard errors miss about 60


@pytest.mark.parametrize("arguments", [{"n": 0, "variance": 1}, {"n": 5, "variance": -1}])
def test_an_interval_over_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match="need n > 0"):
        asymptotic_half_width(**arguments)


def test_the_advantage_over_the_log_is_surer_than_the_two_values_apart():
    log, truth = simulated(np.random.default_rng(9))
    result = evaluate(log, np.random.default_rng(0))
    value, advantage = result.estimates["DR"], result.advantages["DR"]
    assert advantage.value == pytest.approx(value.value - result.logged_mean)
    assert advantage.low < advantage.value < advantage.high
    # Pleased listeners raise both, so the difference varies less than the value.
    assert advantage.high - advantage.low < value.high - value.low
    assert abs(value.value - truth) < value.anytime
