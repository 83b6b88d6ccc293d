"""Withdrawing events: the sums are as though the event had never been."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from experiments import services
from experiments.models import AppliedEvent, KeyHorizon, ListenerDay, ListenerTotal, SeenValue
from experiments.tests.factories import (
    NOW,
    a_busy_week,
    expose,
    feedback,
    make_listener,
    make_running,
    total,
    totals,
)

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=10)


def withdrawn(event, at=LATER):
    return replace(event, retracted_at=at)


@pytest.fixture
def listener():
    make_running()
    listener = make_listener()
    expose(listener)
    return listener


def test_a_retraction_takes_out_what_the_event_put_in(listener):
    rating = feedback(listener, "rating", rating=5, slate_id="s1", preference=1.0)
    play = feedback(listener, "play", completion=0.5, track_artist_id=7)
    services.apply_events([play])
    without = totals()
    services.apply_events([rating])
    assert total(listener, "mean_rating") == (5, 1)
    assert services.apply_events([withdrawn(rating)]) == 1
    assert totals() == without


def test_nothing_is_left_of_a_listener_all_of_whose_events_were_withdrawn(listener):
    events = a_busy_week([listener], random.Random(1))
    services.apply_events(events)
    services.settle_history()
    services.apply_events([withdrawn(event) for event in events])
    assert not ListenerTotal.objects.exists()
    assert not ListenerDay.objects.exists()
    assert not SeenValue.objects.exists()


def test_a_retraction_delivered_twice_counts_once(listener):
    first, second = feedback(listener, rating=5), feedback(listener, rating=2)
    services.apply_events([first, second])
    assert services.apply_events([withdrawn(first), withdrawn(first)]) == 1
    assert services.apply_events([withdrawn(first)]) == 0
    assert total(listener, "mean_rating") == (2, 1)


@pytest.mark.parametrize("together", [True, False])
def test_an_event_that_comes_after_or_with_its_retraction_adds_nothing(listener, together):
    event = feedback(listener, rating=5)
    if together:
        services.apply_events([event, withdrawn(event)])
    else:
        services.apply_events([withdrawn(event)])
        services.apply_events([event])
    assert not ListenerTotal.objects.exists()
    assert services.apply_events([withdrawn(event)]) == 0


def test_a_value_counts_until_the_last_event_that_gave_it_is_withdrawn(listener):
    plays = [feedback(listener, "play", track_artist_id=7) for _ in range(3)]
    services.apply_events(plays)
    services.apply_events([withdrawn(plays[0]), withdrawn(plays[1])])
    assert total(listener, "distinct_artists") == (1, 0)
    services.apply_events([withdrawn(plays[2])])
    assert not ListenerTotal.objects.filter(metric__key="distinct_artists").exists()


def test_a_return_counts_until_its_last_sign_is_withdrawn(listener):
    signs = [feedback(listener, "like", at=NOW + timedelta(days=days)) for days in (2, 3)]
    services.apply_events(signs)
    assert total(listener, "return_7d") == (1, 0)
    services.apply_events([withdrawn(signs[0])])
    assert total(listener, "return_7d") == (1, 0)
    services.apply_events([withdrawn(signs[1])])
    assert not ListenerTotal.objects.filter(metric__key="return_7d").exists()


@pytest.mark.parametrize("settled_first", [True, False])
def test_history_can_be_withdrawn_before_and_after_it_is_settled(listener, settled_first):
    past = [
        feedback(listener, rating=rating, at=NOW - timedelta(days=2, hours=rating))
        for rating in (2, 5)
    ]
    services.apply_events(past)
    if settled_first:
        services.settle_history()
    services.apply_events([withdrawn(past[0])])
    services.settle_history()
    row = ListenerTotal.objects.get(metric__key="mean_rating")
    assert (row.pre_numerator, row.pre_denominator) == (5, 1)


@pytest.mark.parametrize("seed", range(3))
def test_in_any_order_and_repeated_the_sums_are_those_of_the_rest_alone(listener, seed):
    rng = random.Random(seed)
    others = [make_listener() for _ in range(2)]
    for other in others:
        expose(other)
    events = a_busy_week([listener, *others], rng)
    gone = rng.sample(events, len(events) // 3)
    deliveries = [*events, *map(withdrawn, gone)]
    deliveries += rng.sample(deliveries, len(deliveries) // 2)
    rng.shuffle(deliveries)
    for start in range(0, len(deliveries), 13):
        services.apply_events(deliveries[start : start + 13])
        if rng.random() < 0.3:
            services.settle_history(limit=1)
    services.settle_history()
    kept = totals()

    names = {event.event_key for event in gone}
    rest = [event for event in events if event.event_key not in names]
    assert services.recompute(iter(rest)).changed == 0
    assert totals() == kept
    assert services.recompute(iter([*map(withdrawn, gone), *rest])).changed == 0
    services.apply_events(gone)
    assert totals() == kept


class TestPruning:
    def test_forgotten_keys_let_nothing_in_twice(self, listener):
        event, new = feedback(listener, rating=4), feedback(listener, rating=2)
        services.apply_events([event])
        assert services.prune_keys(before=NOW + timedelta(seconds=1)) == 1
        assert not AppliedEvent.objects.exists()
        assert services.apply_events([event]) == 0
        assert services.apply_events([replace(new, received_at=LATER)]) == 1
        assert total(listener, "mean_rating") == (6, 2)

    def test_an_event_whose_key_is_forgotten_can_be_withdrawn_once(self, listener):
        event, other = feedback(listener, rating=4), feedback(listener, rating=2)
        services.apply_events([event, other])
        services.prune_keys(before=NOW + timedelta(seconds=1))
        assert services.apply_events([withdrawn(event)]) == 1
        assert services.apply_events([withdrawn(event)]) == 0
        assert total(listener, "mean_rating") == (2, 1)
        services.prune_keys(before=LATER + timedelta(seconds=1))
        assert not AppliedEvent.objects.exists()
        assert services.apply_events([withdrawn(event)]) == 0
        assert total(listener, "mean_rating") == (2, 1)

    def test_the_horizon_never_moves_back(self):
        services.prune_keys(before=NOW)
        services.prune_keys(before=NOW - timedelta(days=1))
        assert KeyHorizon.objects.get().since == NOW

    def test_a_recomputation_counts_what_is_older_than_the_horizon_too(self, listener):
        events = [feedback(listener, rating=4), feedback(listener, rating=2)]
        services.apply_events(events)
        services.prune_keys(before=NOW + timedelta(seconds=1))
        assert services.recompute(iter(events)).changed == 0
        assert total(listener, "mean_rating") == (6, 2)
