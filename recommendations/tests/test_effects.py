"""What responses owe is applied exactly once, in whatever order and by however many workers."""

import threading
from datetime import timedelta
from itertools import pairwise, permutations

import pytest
from django.db import connection

from bandits.models import Decision
from bandits.services import change_settings
from experiments.models import AppliedEvent, ListenerTotal
from recommendations.models import Feedback, OutboxEvent, Taste, Track, TrackHeat
from recommendations.services import effects
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
from recommendations.tests.factories import (
    NOW,
    make_catalogue,
    make_feedback,
    make_listener,
    make_slate,
    make_track,
    serve_all_by,
)

SECOND = timedelta(seconds=1)


def in_threads(*jobs):
    """Run jobs at once, each with a connection of its own; raise what any of them raised."""
    barrier = threading.Barrier(len(jobs))
    errors = []

    def run(job):
        try:
            barrier.wait(timeout=30)
            job()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    if errors:
        raise errors[0]


def drain(at=NOW + SECOND, batch=effects.BATCH):
    while effects.drain_outbox(at=at, batch=batch):
        pass


@pytest.mark.usefixtures("committed")
def test_two_workers_on_one_outbox_count_everything_once():
    tracks = make_catalogue(12)
    listeners = [make_listener() for _ in range(4)]
    for listener in listeners:
        for track in tracks:
            make_feedback(listener=listener, track=track)
    # Small batches, so that both have a share.
    in_threads(*[lambda: drain(batch=5)] * 2)
    assert not OutboxEvent.objects.open().exists()
    assert not OutboxEvent.objects.exclude(attempts=0).exists()
    heats = dict(TrackHeat.objects.values_list("track_id", "n_feedback"))
    assert heats == {track.pk: 4 for track in tracks}
    assert sum(TrackHeat.objects.values_list("heat", flat=True)) == pytest.approx(48)


@pytest.mark.usefixtures("committed")
def test_two_responses_of_one_listener_at_once_are_both_learned_from():
    tracks = make_catalogue(20)
    listener = make_listener()

    def respond(own):
        for track in own:
            make_feedback(listener=listener, track=track)

    in_threads(lambda: respond(tracks[:10]), lambda: respond(tracks[10:]))
    taste = Taste.objects.get(listener=listener)
    assert (taste.n_feedback, taste.preference_sum) == (20, 20.0)
    assert Feedback.objects.filter(listener=listener).count() == 20
    assert OutboxEvent.objects.count() == 20


@pytest.mark.usefixtures("committed")
def test_one_event_sent_by_two_connections_at_once_is_taken_once():
    track = make_track()
    listener = make_listener()
    in_threads(*[lambda: make_feedback(listener=listener, track=track, event_id="e")] * 4)
    assert Feedback.objects.count() == OutboxEvent.objects.count() == 1
    assert Taste.objects.get().n_feedback == 1


@pytest.mark.usefixtures("committed")
def test_a_list_asked_for_while_responding_never_undoes_the_response():
    tracks = make_catalogue(20)
    listener = make_listener()

    def ask():
        for _ in range(5):
            recommend(listener=listener, wishes=Wishes(n=5), at=NOW)

    in_threads(
        ask, lambda: [make_feedback(listener=listener, track=track) for track in tracks[:10]]
    )
    assert Taste.objects.get(listener=listener).n_feedback == 10


@pytest.mark.django_db
def test_a_closed_event_is_not_applied_again():
    make_feedback()
    drain()
    drain(at=NOW + timedelta(days=1))
    assert TrackHeat.objects.get().n_feedback == 1
    assert OutboxEvent.objects.get().closed_at == NOW + SECOND


@pytest.mark.django_db
def test_an_event_that_is_not_due_waits():
    make_feedback()
    OutboxEvent.objects.update(due_at=NOW + timedelta(hours=1))
    assert effects.drain_outbox(at=NOW) == 0


@pytest.fixture
def poisoned(db):
    """An event among others that the database refuses: a row of the trend that cannot be added to.

    The constraint is of the test's own, so that nothing of ours has to be replaced.
    """
    bad = make_track()
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE recommendations_trackheat ADD CONSTRAINT poison CHECK (track_id <> %s)",
            [bad.pk],
        )
    rows = [make_feedback(track=track) for track in (make_track(), bad, make_track())]
    return OutboxEvent.objects.get(feedback=rows[1])


def test_a_failing_event_holds_up_no_other(poisoned):
    effects.drain_outbox(at=NOW)
    assert TrackHeat.objects.count() == 2
    assert OutboxEvent.objects.open().get() == poisoned
    poisoned.refresh_from_db()
    assert poisoned.attempts == 1
    assert poisoned.last_error.startswith("IntegrityError: ")


def test_a_failing_event_is_tried_later_and_later_and_then_left_for_a_person(poisoned):
    at = NOW
    waits = []
    for _ in range(OutboxEvent.MAX_ATTEMPTS):
        assert effects.drain_outbox(at=at) >= 1
        poisoned.refresh_from_db()
        waits.append(poisoned.due_at - at)
        assert effects.drain_outbox(at=poisoned.due_at - timedelta(microseconds=1)) == 0
        at = poisoned.due_at
    assert all(later == 2 * earlier for earlier, later in pairwise(waits))
    assert effects.drain_outbox(at=at + timedelta(days=365)) == 0
    assert OutboxEvent.objects.dead().get() == poisoned


def test_a_mended_event_takes_effect_at_its_next_try(poisoned):
    effects.drain_outbox(at=NOW)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # else the table has checks to come
        cursor.execute("ALTER TABLE recommendations_trackheat DROP CONSTRAINT poison")
    poisoned.refresh_from_db()
    effects.drain_outbox(at=poisoned.due_at)
    assert TrackHeat.objects.count() == 3
    assert not OutboxEvent.objects.open().exists()


@pytest.mark.django_db
def test_the_events_of_a_listener_who_is_gone_are_closed_and_hold_up_nobody():
    tracks = make_catalogue(12)
    gone = make_listener()
    answer = recommend(listener=gone, wishes=Wishes(n=5), at=NOW)
    make_feedback(listener=gone, track=tracks[0])
    make_feedback(track=tracks[1])
    gone.delete()
    answer.recommendation.refresh_from_db()
    assert answer.recommendation.listener is None
    drain()
    assert not OutboxEvent.objects.open().exists()
    assert not OutboxEvent.objects.exclude(attempts=0).exists()
    assert [heat.track for heat in TrackHeat.objects.all()] == [tracks[1]]


# -- rewards -----------------------------------------------------------------------------------


@pytest.fixture
def slate(db):
    """A slate of five tracks that the bandit chose."""
    make_catalogue(12)
    serve_all_by("contextual_bandit")
    answer = recommend(listener=make_listener(), wishes=Wishes(n=5), at=NOW)
    assert answer.recommendation.probabilities
    return answer.recommendation


def respond_to(slate, place, rating=None, *, kind="rating", after=SECOND, **fields):
    return make_feedback(
        listener=slate.listener,
        track=Track.objects.get(pk=slate.tracks[place]),
        kind=kind,
        rating=rating,
        recommendation=slate,
        at=NOW + after,
        **fields,
    )


def reward_of(slate):
    return Decision.objects.get(request_id=slate.pk).reward


@pytest.mark.parametrize("order", list(permutations([0, 1, 2])))
def test_the_reward_is_the_mean_preference_in_whatever_order_responses_come(slate, order):
    ratings = {0: 5, 1: 1, 2: 4}
    for place in order:
        respond_to(slate, place, ratings[place])
        drain(at=NOW + timedelta(minutes=1))
    assert reward_of(slate) == pytest.approx((1 + 0 + 0.75) / 3)


def test_a_track_counts_once_however_often_it_is_responded_to(slate):
    for at in range(4):
        respond_to(slate, 0, kind="play", completion=1.0, after=at * SECOND)
    respond_to(slate, 0, kind="play", completion=0.5, after=4 * SECOND)
    respond_to(slate, 1, kind="skip", after=5 * SECOND)
    drain(at=NOW + timedelta(minutes=1))
    assert reward_of(slate) == pytest.approx(0.9 / 2)
    respond_to(slate, 0, 1, after=9 * SECOND)
    respond_to(slate, 0, 3, after=8 * SECOND)  # the later thing said came first
    respond_to(slate, 1, kind="save", after=6 * SECOND)
    drain(at=NOW + timedelta(minutes=2))
    assert reward_of(slate) == pytest.approx((0.0 + 1.0) / 2)


def test_the_reward_is_provisional_from_the_first_response(slate):
    assert reward_of(slate) is None
    respond_to(slate, 0, 5)
    drain()
    assert reward_of(slate) == 1.0


@pytest.mark.parametrize("minutes", [5, 30, 120])
def test_a_response_counts_within_the_window_of_the_bandit_and_not_after_it(slate, minutes):
    window = timedelta(minutes=minutes)
    change_settings(Decision.objects.get().bandit, at=NOW, attribution_window=window)
    respond_to(slate, 0, 5, after=window)
    drain(at=NOW + window)
    assert reward_of(slate) == 1.0
    respond_to(slate, 1, 1, after=window + SECOND)
    drain(at=NOW + window + SECOND)
    assert reward_of(slate) == 1.0


@pytest.mark.django_db
def test_a_slate_that_no_bandit_chose_has_no_reward():
    tracks = make_catalogue(5)
    listener = make_listener()
    slate = make_slate(listener=listener, tracks=tracks)
    make_feedback(listener=listener, track=tracks[0], recommendation=slate)
    drain()
    assert not OutboxEvent.objects.open().exists()
    assert not Decision.objects.exists()


@pytest.mark.django_db
def test_responses_reach_the_experiment_that_the_listener_is_in():
    tracks = make_catalogue(12)
    listener = make_listener()
    answer = recommend(listener=listener, wishes=Wishes(n=5), at=NOW)
    assert answer.recommendation.experiment
    make_feedback(listener=listener, track=tracks[0], at=NOW + SECOND)
    drain(at=NOW + 2 * SECOND)
    totals = ListenerTotal.objects.filter(exposure__listener=listener)
    assert sum(totals.values_list("denominator", flat=True)) > 0


@pytest.mark.django_db
def test_keys_are_forgotten_after_their_time_but_never_those_of_events_still_owed():
    AppliedEvent.objects.create(event_key="old", accepted_at=NOW)
    long_after = NOW + effects.KEY_LIFETIME + SECOND
    owed = OutboxEvent.objects.create(kind="feedback", created_at=NOW - SECOND)
    assert effects.prune_event_keys(at=long_after) == 0
    owed.closed_at = NOW
    owed.save()
    assert effects.prune_event_keys(at=long_after) == 1


@pytest.mark.django_db
def test_events_closed_a_while_ago_are_removed_and_nothing_that_is_owed():
    kept = OutboxEvent.objects.create(kind="slate", closed_at=NOW)
    long_before = NOW - effects.CLOSED_LIFETIME - SECOND
    owed = OutboxEvent.objects.create(kind="slate", created_at=long_before)
    for _ in range(5):
        OutboxEvent.objects.create(kind="slate", closed_at=long_before)
    assert effects.prune_outbox(at=NOW, batch=2) == 5
    assert set(OutboxEvent.objects.all()) == {kept, owed}


@pytest.mark.django_db
def test_the_outbox_is_vacuumed_by_how_much_was_closed_however_long_it_is():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reloptions FROM pg_class WHERE oid = %s::regclass", [OutboxEvent._meta.db_table]
        )
        (options,) = cursor.fetchone()
    assert "autovacuum_vacuum_scale_factor=0" in options
