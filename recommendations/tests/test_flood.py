"""Floods of fake responses: one account has a bounded weight, and an operator is told."""

from datetime import timedelta

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from recommendations.flood import (
    FLOOD_PER_HOUR,
    FULL_RESPONSES,
    flooding_listeners,
    weights_per_account,
)
from recommendations.services.snapshot import take_snapshot
from recommendations.tests.factories import make_feedback_row, make_listener, make_track


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 20))
def test_no_account_weighs_more_than_the_full_number_of_pairs(users, full):
    rows = np.array(users)
    weights = weights_per_account(rows, full=full)
    assert (weights > 0).all()
    assert (weights <= 1).all()
    for user in set(users):
        assert weights[rows == user].sum() <= full * (1 + 1e-5)
    few = [user for user in set(users) if users.count(user) <= full]
    assert all((weights[rows == user] == 1).all() for user in few)


def test_ten_thousand_fake_pairs_weigh_no_more_than_the_bound():
    users = np.concatenate([np.zeros(10_000, int), np.arange(1, 11)])
    weights = weights_per_account(users)
    assert weights[:10_000].sum() == pytest.approx(FULL_RESPONSES, rel=1e-3)
    assert (weights[10_000:] == 1).all()


def test_no_pairs_have_no_weights():
    assert weights_per_account(np.empty(0, int)).tolist() == []


@pytest.mark.usefixtures("committed")
def test_the_weight_reaches_what_a_training_learns_from(monkeypatch):
    from recommendations.services import snapshot

    monkeypatch.setattr(
        snapshot, "weights_per_account", lambda rows: weights_per_account(rows, full=2)
    )
    tracks = [make_track() for _ in range(4)]
    flood, person = make_listener(), make_listener()
    for track in tracks:
        make_feedback_row(listener=flood, track=track)
    make_feedback_row(listener=person, track=tracks[0])
    weights = take_snapshot().interactions.weight
    assert sorted(weights.tolist()) == [0.5] * 4 + [1.0]


@pytest.mark.django_db
def test_who_responds_faster_than_a_person_is_found_and_counted_for_the_alarm(settings):
    settings.METRICS_TOKEN = "t"
    flood, person, track = make_listener(), make_listener(), make_track()
    now = timezone.now()  # what is scraped is of the last hour
    for n in range(FLOOD_PER_HOUR + 1):
        make_feedback_row(listener=flood, track=track, at=now - timedelta(seconds=n))
    for n in range(20):
        make_feedback_row(listener=person, track=track, at=now - timedelta(minutes=n))
    assert flooding_listeners(at=now) == [flood.pk]
    assert flooding_listeners(at=now + timedelta(hours=2)) == []
    answer = Client().get("/metrics", headers={"Authorization": "Bearer t"})
    assert "\nmusicrec_flooding_listeners 1.0\n" in answer.content.decode()
