"""Whatever dies between a response and its effects, each effect happens exactly once."""

import itertools
import re

import pytest

from musicrec.tests.chaos.crowd import Crowd
from musicrec.tests.chaos.installation import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.chaos]


def n_open(installation):
    ((n,),) = installation.query(
        "SELECT count(*) FROM recommendations_outboxevent WHERE closed_at IS NULL"
    )
    return n


def check_that_effects_equal_events(installation, accepted):
    """Compare what was accepted with feedback, trend, experiment sums and the posterior."""
    ids = [
        event for (event,) in installation.query("SELECT event_id FROM recommendations_feedback")
    ]
    assert len(ids) == len(set(ids))
    assert accepted <= set(ids)
    ((dead,),) = installation.query(
        "SELECT count(*) FROM recommendations_outboxevent WHERE attempts >= 8"
    )
    assert dead == 0
    ((warmed,),) = installation.query("SELECT sum(n_feedback) FROM recommendations_trackheat")
    assert warmed == len(ids)
    wait_until(
        lambda: (
            installation.query("SELECT count(*) FROM bandits_decision WHERE unfolded") == [(0,)]
        ),
        seconds=60,
        what="rewards are folded in",
    )
    verified = installation.manage("bandit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    recomputed = installation.manage("experiment", "recompute")
    assert re.search(r"\b0 changed\.", recomputed.stdout), recomputed.stdout + recomputed.stderr
    return verified.stdout.strip(), recomputed.stdout.strip()


def test_redis_away_costs_no_response_and_no_effect(serving, slates, scale, report):
    wait_until(lambda: n_open(serving) == 0, seconds=60, what="the outbox is empty")
    crowd = Crowd(serving, slates, n=int(scale.rate * scale.away), rate=scale.rate)
    serving.kill("redis")
    crowd.start()
    crowd.join()
    serving.start_redis()
    outcome = crowd.outcome
    drained = wait_until(
        lambda: n_open(serving) == 0, seconds=300 if scale.is_full else 90, what="drained"
    )
    found = check_that_effects_equal_events(serving, outcome.accepted)
    report(
        f"Redis away {scale.away:.0f} s at {scale.rate:.0f} events/s: {dict(outcome.statuses)}, "
        f"p50 {outcome.milliseconds(50):.0f} ms, p99 {outcome.milliseconds(99):.0f} ms, "
        f"the last sent {outcome.late:.1f} s late, drained in {drained:.1f} s; {found}"
    )
    assert set(outcome.statuses) == {201}
    if scale.is_full:
        assert drained <= 30
        assert outcome.milliseconds(99) <= 50


def test_killed_workers_killed_relays_and_a_wiped_redis_lose_and_double_nothing(
    serving, slates, scale, report
):
    crowd = Crowd(serving, slates, n=scale.events, rate=scale.rate)
    acts = ["worker"] * scale.kills + ["beat"] * scale.relays + ["wipe"] * scale.wipes
    # The acts in turn, so that each kind is spread over the whole time.
    every = max(1, scale.events // (len(acts) + 1))
    order = [act for group in itertools.zip_longest(*_dealt(acts)) for act in group if act]
    crowd.start()
    for number, act in enumerate(order, start=1):
        wait_until(
            lambda n=number: crowd.sent >= min(n * every, scale.events),
            seconds=600,
            what=f"{number * every} responses",
            every=0.02,
        )
        if act == "wipe":
            serving.wipe_redis()
        else:
            serving.kill(act)
            serving.start_worker() if act == "worker" else serving.start_beat()
    crowd.join()
    drained = wait_until(lambda: n_open(serving) == 0, seconds=300, what="the outbox is drained")
    found = check_that_effects_equal_events(serving, crowd.outcome.accepted)
    assert len(crowd.outcome.accepted) == scale.events
    # A machine busy starting workers may turn a request away; it comes again.
    assert set(crowd.outcome.statuses) <= {0, 200, 201, 503}
    p99 = crowd.outcome.milliseconds(99)
    report(
        f"{scale.events} events, worker killed {scale.kills} times, relay {scale.relays}, Redis "
        f"wiped {scale.wipes}: {dict(crowd.outcome.statuses)}, p99 {p99:.0f} ms, "
        f"drained in {drained:.1f} s; {found}"
    )


def _dealt(acts):
    kinds = sorted(set(acts), key=acts.count, reverse=True)
    most, *rest = kinds
    lanes = [[most] * acts.count(most)]
    for kind in rest:
        n, total = acts.count(kind), acts.count(most)
        lanes.append([kind if i * n // total != (i + 1) * n // total else None
                      for i in range(total)])  # fmt: skip
    return lanes
