from datetime import UTC, date, datetime, timedelta

import pytest

from recommendations.models import ActivitySlot, CountedDay, TrackShown
from recommendations.reports.activity import activity
from recommendations.services.rollups import (
    SETTLES_AFTER,
    WHOLE_EVERY,
    count_day,
    count_days,
)
from recommendations.tests.factories import (
    make_feedback_row,
    make_listener,
    make_slate,
    make_track,
)

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def busy_day():
    one, two = make_listener(), make_listener(is_simulated=True)
    tracks = [make_track(), make_track()]
    make_slate(listener=one, tracks=tracks, at=NOON, experiment="e", variant="v")
    make_slate(listener=two, tracks=tracks[:1], at=NOON + timedelta(minutes=7), fallback="no_model")
    rows = [("rating", 4, 2), ("rating", 1, 8), ("like", None, 8), ("skip", None, 9)]
    for kind, rating, minutes in rows:
        make_feedback_row(
            listener=one,
            track=tracks[0],
            at=NOON + timedelta(minutes=minutes),
            kind=kind,
            rating=rating,
            preference=0.5,
        )
    make_feedback_row(listener=two, track=tracks[0], at=NOON + timedelta(days=1), kind="play")
    return tracks


def test_a_day_is_counted_into_slots_that_add_up(busy_day):
    count_day(date(2026, 3, 2), at=NOON)
    total = ActivitySlot.objects.total()
    assert total == {
        "n_first_seen": 2,
        "n_slates": 2,
        "n_in_experiment": 1,
        "n_fallbacks": 1,
        "n_simulated": 1,
        "n_responses": 4,
        "n_ratings": 2,
        "rating_sum": 5,
        "n_likes": 1,
        "n_dislikes": 0,
        "n_plays": 0,
        "n_skips": 1,
    }
    starts = list(ActivitySlot.objects.order_by("starts_at").values_list("starts_at", flat=True))
    assert starts == [NOON, NOON + timedelta(minutes=5)]


def test_tracks_are_counted_once_per_list(busy_day):
    count_day(date(2026, 3, 2), at=NOON)
    shown = dict(TrackShown.objects.values_list("track_id", "n"))
    assert shown == {busy_day[0].pk: 2, busy_day[1].pk: 1}


def test_counting_twice_changes_nothing(busy_day):
    count_day(date(2026, 3, 2), at=NOON)
    before = list(ActivitySlot.objects.order_by("pk").values())
    count_day(date(2026, 3, 2), at=NOON)
    assert list(ActivitySlot.objects.order_by("pk").values()) == before


def test_a_minute_later_the_last_slots_are_counted_again_and_an_hour_later_the_whole_day(busy_day):
    day, minute = date(2026, 3, 2), timedelta(minutes=1)
    at = NOON + timedelta(hours=3)
    regular = make_listener()
    make_slate(listener=regular, tracks=busy_day, at=NOON)
    count_day(day, at=at)
    make_slate(listener=regular, tracks=busy_day, at=at)
    make_slate(listener=make_listener(), tracks=busy_day, at=at)
    make_slate(listener=make_listener(), tracks=busy_day, at=NOON)  # with a time of long ago
    count_day(day, at=at + minute)
    total = ActivitySlot.objects.total()
    assert (total["n_slates"], total["n_first_seen"]) == (5, 4)
    assert TrackShown.objects.get(track=busy_day[1]).n == 2
    count_day(day, at=at + WHOLE_EVERY)
    total = ActivitySlot.objects.total()
    assert (total["n_slates"], total["n_first_seen"]) == (6, 5)
    assert TrackShown.objects.get(track=busy_day[1]).n == 5


def test_the_last_count_of_a_day_is_of_the_whole_of_it(busy_day):
    day, end = date(2026, 3, 2), datetime(2026, 3, 3, tzinfo=UTC)
    count_day(day, at=end + SETTLES_AFTER - timedelta(minutes=1))
    make_slate(listener=make_listener(), tracks=busy_day, at=NOON)
    count_day(day, at=end + SETTLES_AFTER)
    assert ActivitySlot.objects.total()["n_slates"] == 3
    assert CountedDay.objects.final().count() == 1


def test_a_settled_day_is_left_alone_and_today_is_counted_again(busy_day):
    later = NOON + timedelta(days=1, hours=1)
    assert count_days(at=later) == [date(2026, 3, 2), date(2026, 3, 3)]
    assert count_days(at=later) == [date(2026, 3, 3)]
    assert count_days(at=later, again=True) == [date(2026, 3, 2), date(2026, 3, 3)]


def test_a_job_that_runs_out_of_time_goes_on_where_it_stopped(busy_day):
    later = NOON + timedelta(days=1)
    assert count_days(at=later, budget_seconds=0) == [date(2026, 3, 2)]
    assert CountedDay.objects.count() == 1
    assert date(2026, 3, 3) in count_days(at=later)


def test_today_is_compared_with_the_same_hours_of_the_days_before(busy_day):
    at = NOON + timedelta(days=1, minutes=6)
    count_days(at=at)
    found = activity(at=at)
    assert found.until == NOON + timedelta(days=1, minutes=5)
    assert found.days_before == 1
    assert found.figures["responses"].value == 1
    assert found.figures["responses"].before == 1  # one of the four came before 12:05
    assert found.figures["mean-rating"].value is None
    assert found.figures["mean-rating"].before == 4
    assert found.figures["slates"].before == 1


def test_without_a_row_there_is_nothing_to_count():
    assert count_days(at=NOON) == []
    assert activity(at=NOON).counted_at is None
