from datetime import timedelta

import pytest

from accounts.models import Listener
from recommendations.models import Feedback, Heartbeat, OutboxEvent, SystemReading, SystemReport
from recommendations.reports.machinery import processes
from recommendations.services import effects, heartbeats, measuring
from recommendations.services.rollups import count_days
from recommendations.tests.factories import NOW, make_feedback, make_slate

pytestmark = pytest.mark.django_db


def test_the_probe_sees_a_list_change_and_leaves_no_trace(version):
    before = (Listener.objects.count(), Feedback.objects.count(), OutboxEvent.objects.count())
    found = measuring.probe_freshness(NOW)
    assert found["changed"]
    assert found["gone"]
    assert found["milliseconds"] > 0
    assert before == (
        Listener.objects.count(),
        Feedback.objects.count(),
        OutboxEvent.objects.count(),
    )


def test_an_empty_catalogue_is_said_and_not_measured():
    assert measuring.probe_freshness(NOW)["missing"] == "There is no track to show."


def test_every_measurement_is_kept_and_a_broken_one_stops_no_other(version, monkeypatch):
    def broken(at):
        raise OSError("no such disk")

    monkeypatch.setattr(measuring, "storage", broken)
    measuring.measure_all(at=NOW, slow_too=True)
    kept = {report.key: report for report in SystemReport.objects.all()}
    assert set(kept) == {"freshness", "effects", "storage", "spread", "latency"}
    assert kept["storage"].error == "OSError: no such disk"
    assert not kept["spread"].error
    assert SystemReading.objects.get().freshness_ms > 0


def test_the_spread_is_that_of_the_lists_shown(version, tracks, listener):
    for _ in range(3):
        make_slate(listener=listener, tracks=tracks[:10])
    count_days(at=NOW)
    found = measuring.spread_of_lists(NOW)
    assert (found["shown"], found["places"]) == (10, 30)
    assert found["coverage"] == pytest.approx(10 / len(tracks))
    assert found["gini"] == pytest.approx(1 - 10 / len(tracks))
    assert found["lorenz"][0] == 0
    assert found["lorenz"][-1] == 1


def test_the_lag_of_effects_is_from_commit_to_effect():
    make_feedback()
    assert measuring.effects_lag(NOW) == {"n": 0}
    effects.drain_outbox(at=NOW)
    assert measuring.effects_lag(NOW)["n"] == 1


def test_sizes_name_the_largest_tables():
    found = measuring.storage(NOW)
    assert found["database_bytes"] > 1_000_000
    assert found["cache_bytes"] > 0
    assert found["tables"][0]["bytes"] >= found["tables"][-1]["bytes"]


def test_a_process_is_alive_then_silent_then_stopped():
    heartbeats.beat("worker a:1", kind=Heartbeat.Kind.WORKER, at=NOW, detail="default")
    assert processes(at=NOW + timedelta(seconds=44)).rows[0].state == "alive"
    assert processes(at=NOW + timedelta(seconds=46)).rows[0].state == "silent"
    assert processes(at=NOW + timedelta(seconds=46)).silent_seconds("worker") == 46
    assert processes(at=NOW).silent_seconds("beat") is None
    heartbeats.stop("worker a:1", at=NOW)
    assert processes(at=NOW).rows[0].state == "stopped"
    assert heartbeats.forget_old(at=NOW + timedelta(days=2)) == 1


def test_dead_letters_are_revived_once(version):
    make_feedback()
    OutboxEvent.objects.update(attempts=OutboxEvent.MAX_ATTEMPTS)
    backlog = OutboxEvent.objects.backlog(at=NOW)
    assert (backlog.n_open, backlog.n_dead, backlog.oldest_seconds) == (1, 1, 0)
    assert effects.revive(None, at=NOW) == 1
    assert effects.revive(None, at=NOW) == 0
    effects.drain_outbox(at=NOW)
    assert OutboxEvent.objects.backlog(at=NOW).n_open == 0
