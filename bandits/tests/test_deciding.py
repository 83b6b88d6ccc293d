from datetime import timedelta
from uuid import uuid4

import numpy as np
import pytest
from django.db import IntegrityError

from bandits import live, services
from bandits.core.context import Context
from bandits.models import Arm, Bandit, Decision
from bandits.services import BanditRuleViolation
from bandits.services.verifying import replay_error
from bandits.tests.factories import ARMS, KEY, NOON, make_bandit, make_decision, make_listener

pytestmark = pytest.mark.django_db


def test_the_default_bandit_chooses_among_the_five_strategies():
    choice = services.choose(KEY, request_id=uuid4(), context=Context(), eligible=ARMS, at=NOON)
    assert set(choice.probabilities) == set(ARMS)
    assert sum(choice.probabilities.values()) == pytest.approx(1)
    # Nothing is known yet of any, so that all are alike.
    assert choice.probability == pytest.approx(0.2)


def test_choosing_writes_nothing_and_repeats_itself():
    request = uuid4()
    arguments = {"request_id": request, "context": Context(), "eligible": ARMS, "at": NOON}
    first, second = (services.choose(KEY, **arguments) for _ in range(2))
    assert first.arm == second.arm
    assert not Decision.objects.exists()


def test_the_order_of_the_eligible_arms_does_not_matter():
    request = uuid4()
    arms = {
        services.choose(KEY, request_id=request, context=Context(), eligible=order, at=NOON).arm
        for order in (ARMS, ARMS[::-1])
    }
    assert len(arms) == 1


def test_a_decision_says_all_that_it_takes_to_replay_it():
    rng = np.random.default_rng(0)
    listener = make_listener()
    for _ in range(30):
        made = make_decision(rng, listener=listener)
        row = Decision.objects.get(pk=made.pk)
        assert replay_error(row, KEY) is None
        assert row.propensity == pytest.approx(made.propensity, abs=0)
        assert row.bandit_version == 1
        assert row.state == Decision.State.WAITING
        assert len(row.context) == 20


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("nonce", 0.123, "nonce"),
        ("probabilities", [0.3, 0.1, 0.2, 0.2, 0.2], "probabilities differ"),
        ("arm", "another", "replays to"),
    ],
)
def test_a_row_that_was_tampered_with_does_not_replay(field, value, said):
    row = make_decision(np.random.default_rng(0))
    setattr(row, field, value)
    assert said in replay_error(row, KEY)


def test_a_second_decision_for_one_request_is_refused():
    choice = services.choose(KEY, request_id=uuid4(), context=Context(), eligible=ARMS, at=NOON)
    services.record_decision(choice, listener=None, at=NOON)
    with pytest.raises(IntegrityError):
        services.record_decision(choice, listener=None, at=NOON)


def test_paused_and_foreign_arms_are_never_eligible():
    services.set_status(Arm.objects.get(key="trending"), "paused")
    rng = np.random.default_rng(0)
    row = make_decision(rng, eligible=["trending", "neural_cf", "no_arm_of_ours", "discovery"])
    assert row.eligible == ["discovery", "neural_cf"]
    with pytest.raises(BanditRuleViolation, match="none of") as caught:
        make_decision(rng, eligible=["trending"])
    assert caught.value.code == "no_eligible_arm"


def test_a_pinned_arm_gets_all_traffic_where_it_is_eligible_and_its_propensity_is_one():
    services.pin(Arm.objects.get(key="discovery"))
    rng = np.random.default_rng(0)
    rows = [make_decision(rng) for _ in range(20)]
    assert {row.arm for row in rows} == {"discovery"}
    assert {row.propensity for row in rows} == {1.0}
    assert not any(row.explored for row in rows)
    elsewhere = make_decision(rng, eligible=["neural_cf", "trending"])
    assert elsewhere.eligible == ["neural_cf", "trending"]
    assert all(replay_error(row, KEY) is None for row in [*rows, elsewhere])


def test_every_eligible_arm_keeps_the_floor_however_bad_it_is():
    make_bandit(floor=0.05)
    rng = np.random.default_rng(0)
    for _ in range(60):
        row = make_decision(rng)
        services.credit(request_id=row.pk, reward=float(row.served_arm == "neural_cf"), at=NOON)
    live.forget()
    row = make_decision(rng)
    assert min(row.probabilities) == pytest.approx(0.05, abs=1e-6)
    assert row.eligible[int(np.argmax(row.probabilities))] == "neural_cf"


def test_a_reward_is_in_the_policy_at_most_two_seconds_later():
    rng = np.random.default_rng(0)
    row = make_decision(rng)
    held = live.live_policy(KEY, at=NOON)
    services.credit(request_id=row.pk, reward=1.0, at=NOON)
    assert live.live_policy(KEY, at=NOON + timedelta(seconds=0.9)) is held
    newer = live.live_policy(KEY, at=NOON + timedelta(seconds=2))
    before, after = (p.posteriors[row.arm].weight for p in (held, newer))
    assert (before, after) == (0, pytest.approx(1, abs=1e-5))


def test_a_clock_set_back_reads_anew():
    held = live.live_policy(KEY, at=NOON)
    assert live.live_policy(KEY, at=NOON - timedelta(days=1)) is not held


def test_reading_the_policy_costs_two_queries_however_much_waits(django_assert_num_queries):
    rng = np.random.default_rng(0)
    for _ in range(25):
        services.credit(request_id=make_decision(rng).pk, reward=0.5, at=NOON)
    live.forget()
    with django_assert_num_queries(2):
        live.live_policy(KEY, at=NOON)
    with django_assert_num_queries(1):  # the row itself
        make_decision(rng)


def test_the_uniform_policy_logs_equal_probabilities():
    services.change_settings(make_bandit(), at=NOON, policy=Bandit.PolicyKind.UNIFORM)
    row = make_decision(np.random.default_rng(0), eligible=ARMS[:4])
    assert row.probabilities == [0.25] * 4
    assert row.means == []
    assert replay_error(row, KEY) is None


def test_an_unknown_bandit_is_a_broken_rule():
    with pytest.raises(BanditRuleViolation, match="no bandit 'nope'"):
        services.choose("nope", request_id=uuid4(), context=Context(), eligible=["a"], at=NOON)


def test_what_was_not_the_best_guess_is_marked_as_exploration():
    make_bandit(floor=0.2)  # uniform, by the floor
    rng = np.random.default_rng(0)
    for _ in range(40):
        row = make_decision(rng)
        services.credit(request_id=row.pk, reward=float(row.arm == "trending"), at=NOON)
    live.forget()
    for _ in range(30):
        row = make_decision(rng)
        best = row.eligible[int(np.argmax(row.means))]
        assert row.explored == (row.arm != best)
    assert Decision.objects.filter(explored=True).count() > 0
