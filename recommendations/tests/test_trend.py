"""The trend is what listeners last said, each once, whatever they send and in any order."""

import random
from collections import defaultdict
from datetime import timedelta
from itertools import permutations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recommendations.flood import FLOOD_PER_HOUR
from recommendations.models import (
    Feedback,
    HeatAllowance,
    HeatShare,
    OutboxEvent,
    TrackHeat,
)
from recommendations.services import trend, undo
from recommendations.services.effects import drain_outbox
from recommendations.tests.factories import (
    NOW,
    make_feedback,
    make_feedback_row,
    make_listener,
    make_track,
)
from recommendations.tests.test_effects import in_threads

HOUR = timedelta(hours=1)
HALF_LIFE = timedelta(days=7)
LATER = NOW + timedelta(days=1)


def drain(batch=200):
    while drain_outbox(at=LATER, batch=batch):
        pass


def heats_now():
    """The heat of each track, brought forward to LATER."""
    return {
        heat.track_id: heat.heat * 0.5 ** ((LATER - heat.heat_at) / HALF_LIFE)
        for heat in TrackHeat.objects.all()
    }


def recount():
    """The same from the responses alone, by the definition and not by differences."""
    latest = {}
    rows = Feedback.objects.filter(listener__isnull=False, imported=False, retraction=None)
    for row in rows.order_by("occurred_at", "pk"):
        latest[row.listener_id, row.track_id] = row
    sums = defaultdict(float)
    for row in latest.values():
        sums[row.track_id] += row.preference * 0.5 ** ((LATER - row.occurred_at) / HALF_LIFE)
    return sums


def check_recount():
    counted, kept = recount(), heats_now()
    assert counted.keys() <= kept.keys()
    assert kept == pytest.approx({track: counted.get(track, 0.0) for track in kept}, abs=1e-9)
    standing = Feedback.objects.filter(retraction=None).count()
    assert sum(TrackHeat.objects.values_list("n_feedback", flat=True)) == standing
    assert not OutboxEvent.objects.open().exists()


@pytest.mark.django_db
def test_one_account_moves_a_track_once_however_often_it_responds():
    pushed, liked = make_track(), make_track()
    flood = make_listener()
    for n in range(20):
        make_feedback(listener=flood, track=pushed, at=NOW + timedelta(seconds=n))
    for _ in range(2):
        make_feedback(track=liked)
    drain()
    heat = heats_now()
    assert heat[pushed.pk] < heat[liked.pk]
    assert TrackHeat.objects.get(track=pushed).heat == pytest.approx(1)
    assert TrackHeat.objects.get(track=pushed).n_feedback == 20


def flood_tracks(listener, tracks, *, at):
    """Rows and their effects, in several batches, as workers apply them."""
    rows = [make_feedback_row(listener=listener, track=t, at=at) for t in tracks]
    for begin in range(0, len(rows), 100):
        trend.move_trend(rows[begin : begin + 100], [])


@pytest.mark.django_db
def test_an_accounts_hour_moves_no_more_tracks_than_a_person_can_hear_in_one():
    tracks = [make_track() for _ in range(FLOOD_PER_HOUR + 30)]
    flood, person = make_listener(), make_listener()
    flood_tracks(flood, tracks, at=NOW)
    assert sum(TrackHeat.objects.values_list("heat", flat=True)) == pytest.approx(FLOOD_PER_HOUR)
    flood_tracks(person, tracks[-5:], at=NOW)
    assert sum(TrackHeat.objects.values_list("heat", flat=True)) == pytest.approx(
        FLOOD_PER_HOUR + 5
    )


@pytest.mark.django_db
def test_a_new_hour_counts_anew_and_a_flood_dated_back_does_not():
    tracks = [make_track() for _ in range(FLOOD_PER_HOUR + 20)]
    flood = make_listener()
    flood_tracks(flood, tracks[: FLOOD_PER_HOUR - 10], at=NOW)
    for n, track in enumerate(tracks[FLOOD_PER_HOUR - 10 :]):
        row = make_feedback_row(listener=flood, track=track, at=NOW)
        row.occurred_at = NOW - n * HOUR
        trend.move_trend([row], [])
    assert HeatShare.objects.count() == FLOOD_PER_HOUR
    flood_tracks(flood, tracks[-5:], at=NOW + HOUR)
    assert HeatShare.objects.count() == FLOOD_PER_HOUR + 5


@pytest.mark.django_db
def test_the_latest_response_of_a_listener_is_what_counts_in_whatever_order_they_come():
    # Preferences 1, 0.5 and 0.25 at 2, 1 and 0 half-lives ago, of one listener and of three.
    said = [(1.0, NOW - 2 * HALF_LIFE), (0.5, NOW - HALF_LIFE), (0.25, NOW)]
    for order in permutations(said):
        for owners, expected in (([make_listener()] * 3, 0.25), (None, 0.25 + 0.25 + 0.25)):
            track = make_track()
            for n, (preference, at) in enumerate(order):
                listener = owners[n] if owners else make_listener()
                row = make_feedback_row(
                    listener=listener, track=track, at=at, preference=preference, kind="play"
                )
                trend.move_trend([row], [])
            heat = TrackHeat.objects.get(track=track)
            assert heat.heat == pytest.approx(expected)
            assert (heat.heat_at, heat.n_feedback) == (NOW, 3)


@pytest.mark.django_db
@pytest.mark.parametrize("years", [30, 1000])
def test_a_response_of_long_ago_adds_nothing_to_the_heat_and_is_no_error(years):
    long_ago = NOW - timedelta(days=365 * years)
    track, other = make_track(), make_track()
    make_feedback(track=track)
    make_feedback(track=track, occurred_at=long_ago)
    drain()
    assert TrackHeat.objects.get(track=track).heat == pytest.approx(1)
    make_feedback(track=other, occurred_at=long_ago)
    make_feedback(track=other)
    drain()
    assert TrackHeat.objects.get(track=other).heat == pytest.approx(1)
    assert not OutboxEvent.objects.open().exists()


@pytest.mark.django_db
def test_taking_the_latest_back_makes_the_one_before_it_count_again():
    track, listener = make_track(), make_listener()
    make_feedback(listener=listener, track=track, kind="rating", rating=3, at=NOW)
    latest = make_feedback(listener=listener, track=track, kind="rating", rating=5, at=NOW + HOUR)
    drain()
    undo.retract(latest, at=NOW + 2 * HOUR)
    drain()
    share = HeatShare.objects.get()
    assert (share.preference, share.occurred_at) == (0.5, NOW)
    check_recount()


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(6))
def test_heat_equals_a_recount_after_responses_and_undoing_in_any_order(seed):
    rng = random.Random(seed)
    listeners, tracks = [make_listener() for _ in range(3)], [make_track() for _ in range(3)]
    rows = []
    for n in range(40):
        if rows and rng.random() < 0.3:
            undo.retract(rng.choice(rows), at=NOW + n * HOUR)
        else:
            rows.append(
                make_feedback(
                    listener=rng.choice(listeners),
                    track=rng.choice(tracks),
                    kind="rating",
                    rating=rng.randint(1, 5),
                    at=NOW + n * HOUR,
                    occurred_at=NOW - rng.randrange(400) * HOUR,
                )
            )
        if rng.random() < 0.05:
            drain_outbox(at=LATER + 3 * HOUR, batch=rng.randint(1, 10))
    events = list(OutboxEvent.objects.open())
    rng.shuffle(events)
    for n, event in enumerate(events):  # what is due first is no matter of when it was said
        OutboxEvent.objects.filter(pk=event.pk).update(due_at=NOW + timedelta(minutes=n))
    for n in range(len(events)):
        drain_outbox(at=NOW + timedelta(minutes=n))
    check_recount()


@pytest.mark.usefixtures("committed")
def test_workers_at_once_and_undoing_meanwhile_leave_what_a_recount_finds():
    listeners, tracks = [make_listener() for _ in range(3)], [make_track() for _ in range(4)]
    rows = [
        make_feedback(
            listener=listener,
            track=track,
            kind="rating",
            rating=1 + n % 5,
            at=NOW + timedelta(minutes=n),
        )
        for n in range(6)
        for listener in listeners
        for track in tracks
    ]

    def take_back():
        for row in rows[::2]:
            undo.retract(row, at=NOW + 2 * HOUR)

    in_threads(lambda: drain(batch=4), lambda: drain(batch=3), take_back)
    drain()
    assert not OutboxEvent.objects.exclude(attempts=0).exists()
    check_recount()


@pytest.mark.django_db
def test_a_batch_costs_the_same_statements_however_long_it_is():
    def statements(n):
        listener = make_listener()
        rows = [make_feedback_row(listener=listener, track=make_track()) for _ in range(n)]
        with CaptureQueriesContext(connection) as queries:
            trend.move_trend(rows, [])
        return len(queries)

    assert statements(2) == statements(50) <= 7


@pytest.mark.django_db
def test_what_a_visitor_said_goes_on_counting_once_when_it_is_an_accounts():
    from recommendations.services.visitors import merge

    visitor, account = make_listener(is_visitor=True), make_listener()
    both, new = make_track(), make_track()
    make_feedback(listener=account, track=both, kind="rating", rating=4)
    make_feedback(listener=visitor, track=both, at=NOW + HOUR)
    row = make_feedback(listener=visitor, track=new)
    drain()
    merge(visitor, into=account)
    assert set(HeatShare.objects.values_list("listener", "track")) == {
        (account.pk, both.pk),
        (account.pk, new.pk),
    }
    check_recount()
    undo.retract(Feedback.objects.get(pk=row.pk), at=LATER)
    drain()
    check_recount()


@pytest.mark.django_db
def test_histories_added_at_once_warm_as_their_responses_do_one_by_one():
    listeners, tracks = [make_listener() for _ in range(3)], [make_track() for _ in range(3)]
    make_feedback(track=tracks[0])
    drain()
    for n in range(30):
        make_feedback_row(
            listener=listeners[n % 3],
            track=tracks[n % 2],
            preference=(n % 5) / 4,
            at=NOW - n * n * HOUR,
        )
    trend.add_histories([listener.pk for listener in listeners], at=NOW + HOUR)
    check_recount()


@pytest.mark.django_db
def test_shares_are_forgotten_once_they_are_cold_and_hours_once_no_effect_of_them_is_owed():
    make_feedback(track=make_track(), occurred_at=NOW - 19 * HALF_LIFE)
    drain()
    assert trend.prune_trend(at=NOW) == 0
    assert trend.prune_trend(at=NOW + trend.ALLOWANCE_KEPT + HOUR) == 2
    assert not HeatShare.objects.exists()
    assert not HeatAllowance.objects.exists()
    assert TrackHeat.objects.get().heat == pytest.approx(1)
