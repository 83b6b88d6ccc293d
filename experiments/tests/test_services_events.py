import random
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, transaction

from experiments import services
from experiments.core.measures import contribution
from experiments.models import (
    AppliedEvent,
    Exposure,
    ListenerDay,
    ListenerTotal,
)
from experiments.services import recomputation
from experiments.tests.factories import (
    NOW,
    a_busy_week,
    expose,
    feedback,
    make_draft,
    make_listener,
    make_running,
    slate,
    total,
    totals,
)


@pytest.mark.django_db
def test_what_events_add_to_each_metric():
    make_running()
    listener = make_listener()
    expose(listener)
    later = NOW + timedelta(hours=1)
    services.apply_events(
        [
            slate(listener, at=NOW, latency_ms=20.0),
            slate(listener, at=later, latency_ms=30.0),
            feedback(listener, "rating", rating=4, preference=0.75, slate_id="s1"),
            feedback(listener, "rating", rating=1, preference=0.0, slate_id="s2"),
            feedback(listener, "play", completion=0.5, track_artist_id=1),
            feedback(
                listener, "play", completion=1.0, track_artist_id=1, slate_id="s1", preference=1
            ),
            feedback(listener, "skip", completion=0.25, track_artist_id=2),
            feedback(listener, "like", preference=1.0, at=NOW + timedelta(days=2)),
        ]
    )
    assert total(listener, "mean_rating") == (5, 2)
    assert total(listener, "latency_ms") == (50, 2)
    assert total(listener, "skip_rate") == (1, 3)
    assert total(listener, "completion") == (1.75, 3)
    assert total(listener, "slate_success") == (1, 2)
    assert total(listener, "distinct_artists") == (1, 0)
    assert total(listener, "like_rate") == (1, 6)
    assert total(listener, "plays_per_day") == (3, 0)
    assert total(listener, "return_7d") == (1, 0)


@pytest.mark.django_db
def test_events_outside_the_window_or_before_exposure_do_not_count_after_it():
    experiment = make_running()
    listener = make_listener()
    expose(listener)
    services.apply_events(
        [
            feedback(listener, "play", track_artist_id=1, at=NOW - timedelta(seconds=1)),
            feedback(listener, "play", track_artist_id=2, at=NOW + timedelta(days=8)),
            feedback(listener, "rating", rating=5, at=NOW + timedelta(days=8)),
        ]
    )
    kept = ListenerTotal.objects.filter(metric__key="distinct_artists")
    assert not kept.filter(numerator__gt=0).exists()
    assert total(listener, "mean_rating") == (5, 1)
    services.stop(experiment, reason="done", at=NOW + timedelta(days=9))
    services.apply_events([feedback(listener, "rating", rating=1, at=NOW + timedelta(days=9))])
    assert total(listener, "mean_rating") == (5, 1)


@pytest.mark.django_db
def test_what_listeners_do_after_their_variant_was_stopped_is_not_the_variants():
    """Nor does a recomputation count it, even when a new phase has taken the variant up again."""
    experiment = make_running(policies=("a", "b", "c"))
    listeners = {}
    while len(listeners) < 3:
        listener = make_listener()
        listeners[expose(listener).variant_key] = listener
    day = timedelta(days=1)
    services.stop_variant(experiment.variants.get(key="b"), reason="harm", at=NOW + day)
    events = [
        feedback(listener, rating=rating, at=NOW + at)
        for listener in listeners.values()
        for rating, at in ((5, day / 2), (1, 2 * day), (2, 4 * day))
    ]
    services.apply_events(events[::3])
    services.apply_events(events[1::3])
    services.begin_phase(experiment, reason="anew", at=NOW + 3 * day)
    services.start(experiment, at=NOW + 3 * day)
    services.apply_events(events[2::3])
    ratings = {key: total(listener, "mean_rating") for key, listener in listeners.items()}
    assert ratings == {"a": (6, 2), "b": (5, 1), "c": (6, 2)}
    assert services.recompute(iter(events)).changed == 0


@pytest.mark.django_db
@pytest.mark.parametrize("settled_first", [True, False])
def test_history_is_the_same_whether_it_arrives_before_or_after_it_was_settled(settled_first):
    make_running()
    listener = make_listener()
    expose(listener)
    history = [
        feedback(listener, "rating", rating=3, at=NOW - timedelta(days=1)),
        feedback(listener, "rating", rating=4, at=NOW - timedelta(days=14)),
        feedback(listener, "rating", rating=1, at=NOW - timedelta(days=15)),
        feedback(listener, "rating", rating=1, at=NOW - timedelta(hours=1)),
    ]
    if settled_first:
        assert services.settle_history() == 1
        services.apply_events(history)
    else:
        services.apply_events(history)
        assert services.settle_history() == 1
    row = ListenerTotal.objects.get(metric__key="mean_rating")
    assert (row.pre_numerator, row.pre_denominator) == (7, 2)
    assert services.settle_history() == 0


@pytest.mark.django_db
def test_the_same_events_twice_and_in_any_order_give_the_same_sums():
    make_running()
    rng = random.Random(5)
    listeners = [make_listener() for _ in range(6)]
    for listener in listeners:
        expose(listener)
    events = a_busy_week(listeners, rng)
    assert services.apply_events(events) == len(events)
    services.settle_history()
    once = totals()
    assert services.apply_events(events) == 0
    assert totals() == once
    for table in (AppliedEvent, ListenerTotal, ListenerDay):
        table.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM experiments_seenvalue")
    Exposure.objects.update(history_settled=False)
    for event in reversed(events):
        services.apply_events([event, event])
        if rng.random() < 0.1:
            services.settle_history()
    services.settle_history()
    assert totals() == once


@pytest.fixture
def committed_listeners(committed):
    """Exposed listeners whom other connections see too."""
    experiment = make_draft()
    phase = services.start(experiment, at=NOW)
    variants = list(experiment.variants.all())
    listeners = [make_listener() for _ in range(8)]
    for number, listener in enumerate(listeners):
        Exposure.objects.create(
            phase=phase,
            listener=listener,
            variant=variants[number % 2],
            exposed_at=NOW,
            segment="returning/unknown",
            fallback=False,
        )
    return listeners


def test_two_workers_with_the_same_events_out_of_order_count_each_once(committed_listeners):
    events = a_busy_week(committed_listeners, random.Random(6))
    start = threading.Barrier(3)
    applied, problems = [], []

    def work(seed):
        rng = random.Random(seed)
        mine = rng.sample(events, len(events))
        try:
            start.wait()
            for i in range(0, len(mine), 17):
                with transaction.atomic():
                    applied.append(services.apply_events(mine[i : i + 17]))
                if rng.random() < 0.2:
                    services.settle_history(limit=3)
        except Exception as error:
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    services.settle_history()
    assert problems == []
    assert sum(applied) == len(events)
    by_workers = totals()
    result = services.recompute(iter(events))
    assert (result.events, result.changed) == (len(events), 0)
    assert totals() == by_workers


@pytest.mark.django_db
@pytest.mark.parametrize("batch", [2, recomputation.BATCH])
def test_recomputing_repairs_sums_that_were_tampered_with(monkeypatch, batch):
    monkeypatch.setattr(recomputation, "BATCH", batch)
    make_running()
    listeners = [make_listener() for _ in range(3)]
    for listener in listeners:
        expose(listener)
    events = a_busy_week(listeners, random.Random(7))
    services.apply_events(events)
    services.settle_history()
    right = totals()
    ListenerTotal.objects.filter(metric__key="mean_rating").update(numerator=99)
    ListenerDay.objects.filter(metric__key="skip_rate").delete()
    result = services.recompute(iter(events))
    assert result.changed > 0
    assert totals() == right


def held_locks():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        return cursor.fetchone()[0]


@pytest.mark.django_db
def test_recomputing_holds_as_many_locks_for_many_listeners_as_for_one(monkeypatch):
    """Postgres keeps the locks of all transactions in one table of a few thousand places."""
    monkeypatch.setattr(recomputation, "BATCH", 1)
    make_running()
    listeners = [make_listener() for _ in range(5)]
    for listener in listeners:
        expose(listener)
    held = []

    def events():
        for listener in listeners:
            yield feedback(listener, rating=3)
            held.append(held_locks())

    services.recompute(events())
    assert held == [held[0]] * len(listeners)


@pytest.mark.django_db
def test_an_erased_listeners_totals_survive_a_recomputation():
    make_running()
    listener = make_listener()
    expose(listener)
    services.apply_events([feedback(listener, rating=4)])
    listener.delete()
    services.recompute(iter([]))
    row = ListenerTotal.objects.get(metric__key="mean_rating")
    assert (row.numerator, row.denominator) == (4, 1)


@pytest.mark.django_db
def test_events_of_an_erased_listener_are_taken_and_add_nothing():
    gone, here = make_listener(), make_listener()
    events = [feedback(gone, rating=4), feedback(here, rating=3)]
    nameless = replace(events[0], event_key="nameless", listener_id=None)
    gone.delete()
    assert services.apply_events([*events, nameless]) == 3
    assert services.apply_events([*events, nameless]) == 0
    assert set(ListenerDay.objects.values_list("listener", flat=True)) == {here.pk}


@pytest.mark.django_db
def test_an_event_that_is_not_understood_applies_nothing():
    make_running()
    listener = make_listener()
    expose(listener)
    bad = feedback(listener, "rating", rating="five")
    with pytest.raises(ValueError, match=r"values\.rating"):
        services.apply_events([feedback(listener, rating=3), bad])
    assert not AppliedEvent.objects.exists()


@pytest.mark.parametrize("amount", [0.1, 1 / 3, 2.5, 1e6 + 0.3])
def test_amounts_are_multiples_that_add_exactly(amount):
    added = contribution("slate", {"latency_ms": amount}).amounts["latency_ms_sum"]
    assert added == pytest.approx(amount, abs=1e-6)
    assert (added * 2**20).is_integer()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("visit", {}),
        ("feedback", {"kind": "shrug"}),
        ("feedback", {"kind": "rating", "rating": float("nan")}),
        ("slate", {"latency_ms": True}),
        ("slate", {"latency_ms": 10**30}),
    ],
)
def test_unknown_kinds_and_odd_numbers_are_refused(kind, values):
    with pytest.raises(ValueError, match=r"kind|number"):
        contribution(kind, values)
