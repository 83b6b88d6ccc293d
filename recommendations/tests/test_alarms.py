import dataclasses
import re
from pathlib import Path

import pytest
from django.conf import settings

from recommendations.core.alarms import KEYS, Vitals, alarms, duration
from recommendations.reports.definitions import ALARM_TEXTS

WELL = Vitals(
    worker_silent_seconds=5,
    beat_silent_seconds=5,
    counted_seconds=20,
    model_age_days=0.5,
    requests=1000,
    errors=2,
    recommend_requests=500,
    recommend_p95_ms=40,
    list_changed=True,
)
ILLS = {
    "worker-silent": {"worker_silent_seconds": 61},
    "schedule-silent": {"beat_silent_seconds": 61},
    "outbox-stuck": {"outbox_open": 900, "outbox_oldest_seconds": 120},
    "dead-letters": {"dead_letters": 2},
    "no-model": {"has_model": False},
    "model-old": {"model_age_days": 9},
    "training-failed": {"training_failed": "no space left"},
    "errors": {"errors": 30},
    "fallbacks": {"recommend_fallbacks": 100},
    "slow-lists": {"recommend_p95_ms": 900},
    "counts-old": {"counted_seconds": 1200},
    "measurement-failed": {"broken_measurements": (("sizes", "Redis does not answer"),)},
    "list-unchanged": {"list_changed": False},
    "experiment-unhealthy": {"unhealthy_experiments": ("e",)},
    "experiment-harmful": {"harmful_experiments": ("e",)},
    "arm-pinned": {"pinned_arms": (("b", "trending"),)},
}


def test_a_system_that_is_well_raises_none():
    assert alarms(WELL) == []


@pytest.mark.parametrize("key", KEYS)
def test_each_ill_raises_its_own_alarm_and_no_other(key):
    found = alarms(dataclasses.replace(WELL, **ILLS[key]))
    assert [alarm.key for alarm in found] == [key]


def test_a_system_that_was_never_started_says_so_once():
    found = alarms(dataclasses.replace(WELL, worker_silent_seconds=None, beat_silent_seconds=None))
    assert [alarm.key for alarm in found] == ["worker-silent"]
    assert found[0].words.startswith("No worker has ever been heard of")


def test_few_requests_say_nothing_about_shares():
    few = {"requests": 10, "errors": 9, "recommend_requests": 10, "recommend_fallbacks": 9}
    assert alarms(dataclasses.replace(WELL, **few)) == []


def test_what_hurts_now_comes_first():
    found = alarms(dataclasses.replace(WELL, model_age_days=9, dead_letters=1))
    assert [alarm.tone for alarm in found] == ["bad", "warn"]


def test_each_alarm_is_explained_on_its_page_and_in_the_operators_manual():
    manual = (Path(settings.BASE_DIR) / "docs" / "operations.md").read_text()
    assert set(ALARM_TEXTS) == set(KEYS)
    assert set(re.findall(r"^### `([a-z-]+)`", manual, re.MULTILINE)) == set(KEYS)


def test_durations_are_said_in_their_largest_unit():
    assert [duration(s) for s in (3, 61, 3600, 7200, 90_000)] == [
        "3 s",
        "1 min",
        "1 hour",
        "2 hours",
        "1 day",
    ]
