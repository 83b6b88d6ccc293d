import threading
from datetime import timedelta
from uuid import uuid4

import numpy as np
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisTestCase

from bandits import live, services
from bandits.core.context import DIMENSION
from bandits.core.linear import LinearPosterior
from bandits.core.logistic import LogisticPosterior
from bandits.core.statistics import RewardChanges, Statistics
from bandits.live import prior_of
from bandits.models import Arm, Bandit, Decision
from bandits.services import BanditRuleViolation
from bandits.tests.factories import ARMS, KEY, NOON, make_bandit, make_decision

WINDOW = timedelta(minutes=30)


def closed_form_by_hand(arm, at):
    """The posterior from the rows' final rewards, without any of the app's bookkeeping."""
    bandit = arm.bandit
    decisions = Decision.objects.filter(bandit=bandit, served_arm=arm.key)
    rows = [row for row in decisions if row.reward is not None]
    sums = Statistics.empty(DIMENSION, reference=at.timestamp(), half_life=bandit.half_life_seconds)
    if rows:
        contexts = np.array([[*row.context, 1.0] for row in rows])
        decided = np.array([row.decided_at.timestamp() for row in rows])
        rewards = np.array([row.reward for row in rows])
        sums = sums.changed(RewardChanges.first(contexts, decided, rewards))
    prior = prior_of(bandit, arm.learned)
    return LinearPosterior.from_statistics(sums, prior, at=at.timestamp())


def assert_posteriors_are_the_closed_form(at, key=KEY):
    live.forget()
    policy = live.live_policy(key, at=at)
    assert policy.posteriors.keys() == set(ARMS)
    for arm in Arm.objects.filter(bandit__key=key):
        held, truth = policy.posteriors[arm.key], closed_form_by_hand(arm, at)
        np.testing.assert_allclose(held.mean, truth.mean, rtol=0, atol=1e-9)
        np.testing.assert_allclose(held.covariance, truth.covariance, rtol=0, atol=1e-9)


steps = st.lists(
    st.one_of(
        st.just("fold"),
        st.just("expire"),
        st.just("rebuild"),
        st.tuples(st.integers(0, 7), st.none() | st.floats(0, 1), st.booleans()),
    ),
    max_size=25,
)


class TestAnyOrder(HypothesisTestCase):
    @given(steps, st.integers(0, 2**32 - 1))
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    def test_rewards_shuffled_repeated_and_interleaved_end_at_the_closed_form(self, steps, seed):
        live.forget()
        rng = np.random.default_rng(seed)
        rows = [
            make_decision(rng, at=NOON - timedelta(hours=int(rng.integers(2000)))) for _ in range(8)
        ]
        bandit = make_bandit()
        for number, step in enumerate(steps):
            at = NOON + timedelta(seconds=number)
            if step == "fold":
                services.fold(bandit, at=at)
            elif step == "expire":
                services.expire(at=at)
            elif step == "rebuild":
                services.rebuild(bandit, at=at)
            else:
                which, reward, final = step
                for _ in range(2):  # delivered twice
                    services.credit(request_id=rows[which].pk, reward=reward, at=at, final=final)
        assert_posteriors_are_the_closed_form(NOON)
        services.fold(bandit, at=NOON)
        assert_posteriors_are_the_closed_form(NOON)
        assert services.verify(bandit, at=NOON).is_clean


def test_eight_workers_credit_and_fold_at_once_and_nothing_is_lost_or_doubled(committed_bandit):
    bandit, rng = committed_bandit, np.random.default_rng(0)
    rows = [make_decision(rng, key=bandit.key).pk for _ in range(60)]
    rewards = [[float(r) for r in rng.random(4)] for _ in rows]
    errors = []
    start = threading.Barrier(8)

    def work(worker):
        try:
            start.wait()
            order = np.random.default_rng(worker).permutation(len(rows))
            for i in order:
                services.credit(request_id=rows[i], reward=rewards[i][worker % 4], at=NOON)
                if i % 7 == worker % 7:
                    services.fold(bandit, at=NOON)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    assert_posteriors_are_the_closed_form(NOON, bandit.key)
    while services.fold(bandit, at=NOON):
        pass
    assert_posteriors_are_the_closed_form(NOON, bandit.key)
    found = services.verify(bandit, at=NOON)
    assert found.is_clean
    assert found.decisions == 60


def test_a_fold_leaves_alone_what_a_worker_holds_and_does_not_wait(committed_bandit):
    bandit, rng = committed_bandit, np.random.default_rng(0)
    held, free = make_decision(rng, key=bandit.key).pk, make_decision(rng, key=bandit.key).pk
    for row in (held, free):
        services.credit(request_id=row, reward=0.5, at=NOON)
    folded = []

    def fold():
        folded.append(services.fold(bandit, at=NOON))
        connection.close()

    with transaction.atomic():
        services.credit(request_id=held, reward=0.9, at=NOON)
        other = threading.Thread(target=fold)
        other.start()
        other.join(timeout=10)
        assert folded == [1]
    assert services.fold(bandit, at=NOON) == 1
    assert_posteriors_are_the_closed_form(NOON, bandit.key)


@pytest.mark.django_db
class TestCredit:
    def test_the_first_reward_is_provisional_the_last_word_final(self):
        row = make_decision(np.random.default_rng(0))
        services.credit(request_id=row.pk, reward=0.5, at=NOON)
        row.refresh_from_db()
        assert (row.reward, row.state) == (0.5, "provisional")
        services.credit(request_id=row.pk, reward=0.75, at=NOON, final=True)
        row.refresh_from_db()
        assert (row.reward, row.state) == (0.75, "final")

    def test_responses_withdrawn_leave_the_decision_waiting(self):
        row = make_decision(np.random.default_rng(0))
        services.credit(request_id=row.pk, reward=0.5, at=NOON)
        services.fold(make_bandit(), at=NOON)
        services.credit(request_id=row.pk, reward=None, at=NOON)
        row.refresh_from_db()
        assert (row.reward, row.state) == (None, "waiting")
        assert_posteriors_are_the_closed_form(NOON)

    def test_some_responses_withdrawn_leave_the_mean_of_the_rest(self):
        row = make_decision(np.random.default_rng(0))
        services.credit(request_id=row.pk, reward=0.5, at=NOON)
        services.fold(make_bandit(), at=NOON)
        services.credit(request_id=row.pk, reward=1.0, at=NOON)
        row.refresh_from_db()
        assert (row.reward, row.state) == (1.0, "provisional")
        assert_posteriors_are_the_closed_form(NOON)

    def test_responses_withdrawn_after_the_window_leave_a_reward_of_zero(self):
        row = make_decision(np.random.default_rng(0), at=NOON)
        services.credit(request_id=row.pk, reward=0.5, at=NOON)
        services.expire(at=NOON + WINDOW)
        services.fold(make_bandit(), at=NOON + WINDOW)
        for _ in range(2):
            services.credit(request_id=row.pk, reward=None, at=NOON + WINDOW)
            row.refresh_from_db()
            assert (row.reward, row.state) == (0.0, "expired")
            assert_posteriors_are_the_closed_form(NOON + WINDOW)

    @pytest.mark.parametrize("reward", [-0.1, 1.1, float("nan"), float("inf")])
    def test_a_reward_outside_zero_to_one_is_refused(self, reward):
        row = make_decision(np.random.default_rng(0))
        with pytest.raises(ValueError, match="reward"):
            services.credit(request_id=row.pk, reward=reward, at=NOON)

    def test_an_unknown_request_is_a_broken_rule(self):
        with pytest.raises(BanditRuleViolation, match="no decision"):
            services.credit(request_id=uuid4(), reward=0.5, at=NOON)

    def test_after_a_fall_back_the_served_arm_learns(self):
        rng = np.random.default_rng(0)
        row = make_decision(rng, eligible=["neural_cf"], served_arm="trending")
        services.credit(request_id=row.pk, reward=1.0, at=NOON)
        services.fold(make_bandit(), at=NOON)
        counts = {arm.key: arm.learned.statistics().count for arm in Arm.objects.all()}
        assert counts["trending"] == 1
        assert counts["neural_cf"] == 0

    def test_what_is_no_arm_teaches_nothing_and_is_not_folded_for_ever(self):
        row = make_decision(np.random.default_rng(0), served_arm="popular")
        services.credit(request_id=row.pk, reward=1.0, at=NOON)
        assert services.fold(make_bandit(), at=NOON) == 1
        assert services.fold(make_bandit(), at=NOON) == 0


@pytest.mark.django_db
class TestExpire:
    def test_without_a_response_the_reward_is_zero_once_the_window_has_passed(self):
        row = make_decision(np.random.default_rng(0), at=NOON)
        assert services.expire(at=NOON + WINDOW - timedelta(seconds=1)) == 0
        assert services.expire(at=NOON + WINDOW) == 1
        assert services.expire(at=NOON + WINDOW) == 0
        row.refresh_from_db()
        assert (row.reward, row.state) == (0.0, "expired")
        assert_posteriors_are_the_closed_form(NOON)

    def test_a_provisional_reward_becomes_final_and_stays(self):
        row = make_decision(np.random.default_rng(0), at=NOON)
        services.credit(request_id=row.pk, reward=0.5, at=NOON)
        services.expire(at=NOON + WINDOW)
        row.refresh_from_db()
        assert (row.reward, row.state) == (0.5, "final")

    def test_a_response_in_time_but_handled_late_replaces_the_zero(self):
        row = make_decision(np.random.default_rng(0), at=NOON)
        services.expire(at=NOON + WINDOW)
        services.fold(make_bandit(), at=NOON + WINDOW)
        services.credit(request_id=row.pk, reward=0.8, at=NOON + WINDOW, final=True)
        row.refresh_from_db()
        assert (row.reward, row.state) == (0.8, "final")
        assert_posteriors_are_the_closed_form(NOON)

    def test_each_bandit_has_its_own_window(self):
        make_decision(np.random.default_rng(0), at=NOON)
        make_bandit(attribution_window=timedelta(hours=2))
        assert services.expire(at=NOON + timedelta(hours=1)) == 0


@pytest.mark.django_db
def test_the_logistic_policy_learns_at_the_fold():
    bandit = services.change_settings(
        make_bandit(), at=NOON, policy=Bandit.PolicyKind.LOGISTIC, half_life=None
    )
    rng = np.random.default_rng(0)
    rows = [make_decision(rng) for _ in range(60)]
    for row in rows:
        services.credit(request_id=row.pk, reward=float(row.arm == "trending"), at=NOON)
    services.fold(bandit, at=NOON)
    live.forget()
    policy = live.live_policy(KEY, at=NOON)
    mine = [row for row in rows if row.arm == "trending"]
    truth = LogisticPosterior.fit(
        np.array([[*row.context, 1.0] for row in mine]),
        np.ones(len(mine)),
        prior_mean=np.zeros(DIMENSION),
        prior_precision=bandit.prior_precision,
    )
    np.testing.assert_allclose(policy.posteriors["trending"].mean, truth.mean, atol=1e-9)
    row = make_decision(rng)
    assert row.eligible[int(np.argmax(row.probabilities))] == "trending"
