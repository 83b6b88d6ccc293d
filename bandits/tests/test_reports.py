import json
from datetime import timedelta
from io import StringIO

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from bandits import live, reports, services
from bandits.core.evaluation import ThinSupport
from bandits.models import Arm, Decision
from bandits.off_policy import Always, history, off_policy, parse_target
from bandits.tests.factories import ARMS, NOON, make_bandit, make_decision, make_listener

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(hours=1)
MEANS = {
    "neural_cf": 0.7,
    "content_based": 0.4,
    "hybrid_ensemble": 0.5,
    "trending": 0.3,
    "discovery": 0.2,
}


def live_through(n=300, *, n_listeners=30, bandit=None, seed=0):
    """Decide, respond to nine of ten, and let the window pass."""
    rng = np.random.default_rng(seed)
    listeners = [make_listener() for _ in range(n_listeners)]
    for number in range(n):
        row = make_decision(rng, listener=listeners[number % n_listeners])
        if number % 10:
            reward = float(rng.random() < MEANS[row.arm])
            services.credit(request_id=row.pk, reward=reward, at=NOON)
        if number % 50 == 49:
            live.forget()
    services.expire(at=LATER)
    services.fold(bandit or make_bandit(), at=LATER)


def test_without_decisions_the_report_says_that_there_is_nothing():
    report = reports.build(make_bandit(), at=NOON)
    assert report["decisions"] == 0
    assert [arm["arm"] for arm in report["arms"]] == ARMS
    assert {arm["mean_reward"] for arm in report["arms"]} == {None}
    assert report["situations"] == []
    assert report["exploration"] is None
    assert report["off_policy"]["regret"] is None
    assert all("refused" in arm for arm in report["off_policy"]["arms"].values())
    json.dumps(report, allow_nan=False)


def test_the_report_counts_what_the_rows_say():
    live_through()
    report = reports.build(make_bandit(), at=LATER)
    json.dumps(report, allow_nan=False)
    assert report["decisions"] == 300
    assert report["waiting"] == 0
    assert report["expired"] == 30
    for arm in report["arms"]:
        rows = Decision.objects.filter(arm=arm["arm"])
        rewards = [row.reward for row in rows]
        assert arm["pulls"] == len(rows)
        assert arm["share"] == pytest.approx(len(rows) / 300)
        assert arm["mean_reward"] == pytest.approx(np.mean(rewards))
        assert arm["mean_reward_low"] <= arm["mean_reward"] <= arm["mean_reward_high"]
        assert arm["explored"] == rows.filter(explored=True).count()
    exploration = report["exploration"]
    assert exploration["explored"] + exploration["exploited"] == 300
    best = {arm["arm"]: arm["probability_best"] for arm in report["arms"]}
    assert sum(best.values()) == pytest.approx(1)
    assert max(best, key=best.get) == "neural_cf"
    assert {situation["key"] for situation in report["situations"]} == set(reports.SITUATIONS)
    for situation in report["situations"]:
        total = sum(arm["probability_best"] for arm in situation["arms"].values())
        assert total == pytest.approx(1)


def test_regret_is_told_against_the_best_arm_where_the_log_supports_it():
    make_bandit(floor=0.15)
    live_through(1500, n_listeners=60)
    found = reports.build(make_bandit(), at=LATER)["off_policy"]
    assert found["regret"]["best_arm"] == "neural_cf"
    truth = 0.9 * MEANS["neural_cf"]  # one response of ten stays out
    arm = found["arms"]["neural_cf"]
    assert arm["low"] <= truth <= arm["high"]
    assert found["regret"]["per_decision"] == pytest.approx(
        arm["value"] - found["logged_mean"], abs=1e-9
    )


def test_decisions_inside_their_window_are_not_evaluated_answered_or_not():
    rng = np.random.default_rng(0)
    row = make_decision(rng)
    services.credit(request_id=row.pk, reward=1.0, at=NOON, final=True)
    make_decision(rng)
    assert len(history(make_bandit(), at=NOON + timedelta(minutes=29))) == 0
    services.expire(at=LATER)
    assert len(history(make_bandit(), at=LATER)) == 2


def test_arms_for_different_listeners_are_compared_over_all_of_them():
    """One arm is for known listeners only, whom everything pleases more."""
    make_bandit(policy="uniform")
    rng = np.random.default_rng(0)
    listeners = [make_listener() for _ in range(60)]
    known = {"neural_cf": 0.6, "trending": 0.8, "discovery": 0.5}
    unknown = {"trending": 0.3, "discovery": 0.1}
    for number in range(1200):
        means = known if number % 60 < 30 else unknown
        row = make_decision(rng, listener=listeners[number % 60], eligible=list(means))
        reward = float(rng.random() < means[row.arm])
        services.credit(request_id=row.pk, reward=reward, at=NOON)
    services.expire(at=LATER)
    found = reports.build(make_bandit(), at=LATER)["off_policy"]
    truths = {
        "neural_cf": (0.6 + (0.3 + 0.1) / 2) / 2,
        "trending": (0.8 + 0.3) / 2,
        "discovery": (0.5 + 0.1) / 2,
    }
    for key, truth in truths.items():
        arm = found["arms"][key]
        assert arm["value"] == pytest.approx(truth, abs=0.05), key
        assert arm["advantage"] == pytest.approx(arm["value"] - found["logged_mean"]), key
    assert found["arms"]["neural_cf"]["left_out"] == 600
    assert found["regret"]["best_arm"] == "trending"
    assert found["regret"]["low"] > 0


def test_an_arm_that_was_never_eligible_is_not_evaluated():
    services.set_status(Arm.objects.get(key="trending"), "paused")
    live_through(150)
    log = history(make_bandit(), at=LATER)
    with pytest.raises(ThinSupport, match="0 of 150 decisions"):
        off_policy(log, Always("trending"), np.random.default_rng(0))


@pytest.mark.parametrize("text", ["", "magic", "floor", "policy=magic", "always"])
def test_a_target_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"target must be|policy must be"):
        parse_target(text, make_bandit())


def test_a_snapshot_is_kept_once_an_hour_and_gives_the_page_its_past():
    live_through(60)
    bandit = make_bandit()
    for minutes in (0, 10, 50, 70, 80, 50):  # the last one late, and again
        services.take_snapshot(bandit, at=LATER + timedelta(minutes=minutes))
    taken = [snapshot.taken_at for snapshot in bandit.snapshots.all()]
    assert taken == [LATER + timedelta(minutes=80), LATER + timedelta(minutes=50)]
    report = reports.current(bandit, at=LATER + timedelta(hours=2))
    assert report["generated_at"] == taken[0].isoformat()
    assert [point["at"] for point in report["over_time"]] == [t.isoformat() for t in taken[::-1]]


def run(*arguments):
    out, err = StringIO(), StringIO()
    call_command("bandit", *arguments, stdout=out, stderr=err)
    return out.getvalue()


class TestCommand:
    def test_show_has_a_row_per_arm(self):
        live_through(40)
        lines = run("show").splitlines()
        assert "40 decisions" in lines[0]
        assert [line.split()[0] for line in lines[2:]] == ARMS
        assert json.loads(run("show", "--json"))["decisions"] == 40

    def test_verify_replays_every_row_and_fails_where_one_is_wrong(self):
        live_through(40)
        assert "40 decisions replayed, 0 wrong; 0 reward changes lost" in run("verify")
        Decision.objects.filter(pk=Decision.objects.first().pk).update(nonce=0.5)
        with pytest.raises(CommandError, match="not what it should be"):
            run("verify")

    def test_evaluate_answers_or_says_why_not(self):
        make_bandit(floor=0.15)
        live_through(600, n_listeners=40)
        text = run("evaluate", "always:neural_cf", "uniform", "exploration=1", "always:nothing")
        assert "always:neural_cf: 600 decisions of 40 listeners" in text
        assert "exploration=1: 300 decisions" in text  # trained on the older half
        assert "always:nothing: no answer, 0 of 600 decisions" in text
        answers = json.loads(run("evaluate", "uniform", "--json"))
        mean = np.mean(list(MEANS.values())) * 0.9
        assert answers["uniform"]["estimates"]["DR"]["value"] == pytest.approx(mean, abs=0.1)
        with pytest.raises(CommandError, match="target must be"):
            run("evaluate", "magic")

    def test_reset_is_undone_by_the_command_it_prints(self):
        live_through(30)
        said = run("reset", "--yes", "--reason", "a test")
        archive = make_bandit().archives.get()
        assert archive.reason == "a test"
        assert f"--restore {archive.pk}" in said
        assert "restored" in run("reset", "--restore", str(archive.pk))
        with pytest.raises(CommandError, match="already"):
            run("reset", "--restore", str(archive.pk))
        with pytest.raises(CommandError, match="no archive"):
            run("reset", "--restore", "0")
        assert services.verify(make_bandit(), at=LATER).is_clean

    def test_an_unknown_bandit_is_named_with_those_that_are(self):
        with pytest.raises(CommandError, match="there is recommendation_strategy"):
            run("show", "--bandit", "nope")
