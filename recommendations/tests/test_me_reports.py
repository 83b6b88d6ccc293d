"""Taste, statistics and library: small exact cases, whoever asks."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from recommendations.services import undo
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
from recommendations.tests.factories import (
    make_feedback,
    make_feedback_row,
    make_slate,
    make_track,
)
from recommendations.tests.test_queries import queries_of

pytestmark = pytest.mark.django_db


def test_a_taste_is_what_was_liked_by_preference(api, listener):
    jazz = make_track(artist="Miles", genres=["jazz"], energy=0.2)
    both = make_track(artist="Herbie", genres=["jazz", "funk"], energy=0.6)
    rock = make_track(artist="Ozzy", genres=["rock"], energy=1.0)
    make_feedback(listener=listener, track=jazz, kind="like")
    make_feedback(listener=listener, track=both, kind="rating", rating=3)
    make_feedback(listener=listener, track=rock, kind="dislike")
    undo.retract(make_feedback(listener=listener, track=rock, kind="like"), at=timezone.now())
    make_feedback(track=rock)  # somebody else's
    taste = api.get("/me/taste").json()
    assert taste["n_feedback"] == 3
    assert taste["mean_preference"] == pytest.approx(0.5)
    assert [(g["genre"], g["share"], g["n"]) for g in taste["genres"]] == [
        ("jazz", 0.75, 2),
        ("funk", 0.25, 1),
        ("rock", 0.0, 1),
    ]
    assert [(a["artist"], a["n"], a["mean_preference"]) for a in taste["artists"]] == [
        ("Miles", 1, 1.0),
        ("Herbie", 1, 0.5),
        ("Ozzy", 1, 0.0),
    ]
    assert taste["audio"]["energy"]["mean"] == pytest.approx((0.2 + 0.5 * 0.6) / 1.5)
    assert taste["audio"]["energy"]["catalogue_mean"] == pytest.approx(0.6)
    (month,) = taste["changed"]
    assert month["genres"][0] == {"genre": "jazz", "share": 0.75}


def test_a_taste_of_nothing_says_so(api):
    taste = api.get("/me/taste").json()
    assert (taste["n_feedback"], taste["mean_preference"]) == (0, None)
    assert taste["genres"] == taste["artists"] == taste["changed"] == []


def test_a_taste_shows_the_months_it_changed_in(api, listener):
    for month, genre in ((1, "jazz"), (2, "rock")):
        make_feedback_row(
            listener=listener,
            track=make_track(genres=[genre]),
            at=datetime(2026, month, 5, tzinfo=UTC),
        )
    changed = api.get("/me/taste").json()["changed"]
    assert [(m["at"], m["genres"]) for m in changed] == [
        ("2026-01-01T00:00:00Z", [{"genre": "jazz", "share": 1.0}]),
        ("2026-02-01T00:00:00Z", [{"genre": "rock", "share": 1.0}]),
    ]


def test_statistics_count_what_was_heard_and_when_where_the_listener_lives(api, listener):
    listener.time_zone = "Asia/Tokyo"
    listener.save()
    now = timezone.now()
    monday = now - timedelta(days=now.weekday() + 7)
    late = monday.replace(hour=23, minute=30)  # half past eight on Tuesday in Tokyo
    old, new = make_track(year=1969, artist="A"), make_track(year=2003, artist="B", genres=["x"])
    for track, kind in ((old, "play"), (old, "like"), (new, "play"), (new, "skip")):
        make_feedback_row(listener=listener, track=track, kind=kind, at=late)
    make_feedback_row(listener=listener, track=new, kind="play", at=now - timedelta(days=40))
    report = api.get("/me/statistics").json()
    assert (report["period"], report["n"]) == ("4w", 3)
    assert report["week_hours"][1][8] == 3
    assert [(row["track_id"], row["plays"]) for row in report["top_tracks"]] == [
        (old.track_id, 2),
        (new.track_id, 1),
    ]
    assert [(row["artist"], row["plays"]) for row in report["top_artists"]] == [("A", 2), ("B", 1)]
    assert report["top_genres"] == [{"genre": "x", "share": 1.0}]
    assert report["era"] == [{"decade": 1960, "n": 2}, {"decade": 2000, "n": 1}]
    assert [row["n"] for row in report["over_time"]] == [3]
    assert api.get("/me/statistics?period=all").json()["n"] == 4


@pytest.mark.parametrize("zone", ["", "Nowhere/Land"])
def test_statistics_of_a_listener_without_a_time_zone_are_in_utc(api, listener, zone):
    listener.time_zone = zone
    listener.save()
    make_feedback_row(listener=listener, track=make_track(), at=timezone.now())
    assert api.get("/me/statistics").json()["n"] == 1


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", ""])
def test_statistics_bear_a_response_that_was_taken_with_no_time_at_all(api, listener, zone):
    listener.time_zone = zone
    listener.save()
    for year in (1, 2026):
        make_feedback_row(
            listener=listener, track=make_track(), at=datetime(year, 1, 1, tzinfo=UTC)
        )
    report = api.get("/me/statistics?period=all").json()
    assert (report["n"], len(report["over_time"])) == (1, 1)
    assert api.get("/me/taste").status_code == 200


def test_a_period_that_is_none_is_named(api):
    assert "period" in str(api.get("/me/statistics?period=9w").json())


def test_statistics_show_how_strategies_fared(api, listener):
    tracks = [make_track() for _ in range(2)]
    slate = make_slate(listener=listener, tracks=tracks, at=timezone.now())
    now = timezone.now()
    make_feedback(listener=listener, track=tracks[0], kind="like", recommendation=slate, at=now)
    (row,) = api.get("/me/statistics").json()["strategies"]
    assert row == {"strategy": "trending", "slates": 1, "responses": 1, "mean_preference": 1.0}


def test_statistics_show_how_a_list_changed_after_a_response(api, listener):
    tracks = [make_track() for _ in range(3)]
    now = timezone.now()
    minute = timedelta(minutes=1)
    make_slate(listener=listener, tracks=tracks[:2], at=now - 3 * minute)
    make_feedback(listener=listener, track=tracks[0], kind="skip", at=now - 2 * minute)
    make_slate(listener=listener, tracks=tracks[1:], at=now - minute)
    make_slate(listener=listener, tracks=tracks[:2], at=now)  # nothing was said in between
    (change,) = api.get("/me/statistics").json()["recommendations_changed"]
    assert (change["kind"], change["track"]["track_id"]) == ("skip", tracks[0].track_id)
    assert [track["track_id"] for track in change["entered"]] == [tracks[2].track_id]
    assert [track["track_id"] for track in change["left"]] == [tracks[0].track_id]


def test_statistics_compare_no_row_with_a_row_of_another_kind(api, listener):
    tracks = [make_track() for _ in range(4)]
    now, minute = timezone.now(), timedelta(minutes=1)
    for visit in (now - 3 * minute, now - minute):
        make_slate(listener=listener, tracks=tracks[:2], at=visit)
        make_slate(listener=listener, tracks=tracks[2:], at=visit, policy="row_new")
        make_slate(listener=listener, tracks=tracks[1:3], at=visit + minute / 2, policy="row_new")
    make_feedback(listener=listener, track=tracks[0], at=now - 2 * minute)
    assert api.get("/me/statistics").json()["recommendations_changed"] == []


def test_the_library_holds_the_last_word_on_each_track(api, listener):
    liked, disliked, rated = (make_track() for _ in range(3))
    now = timezone.now()
    for minute, (track, kind, rating) in enumerate(
        [
            (liked, "dislike", None),
            (liked, "like", None),
            (disliked, "like", None),
            (disliked, "dislike", None),
            (rated, "rating", 2),
            (rated, "rating", 4),
            (rated, "save", None),
        ]
    ):
        at = now - timedelta(hours=1) + timedelta(minutes=minute)
        make_feedback(listener=listener, track=track, kind=kind, rating=rating, at=at)
    make_feedback(track=disliked, kind="like")  # somebody else's
    api.post("/me/hidden", {"artist_id": disliked.artist_id})

    def library(state):
        return api.get("/me/library", {"state": state}).json()["results"]

    assert [row["track"]["track_id"] for row in library("liked")] == [liked.track_id]
    assert [(row["track"]["track_id"], row["rating"]) for row in library("rated")] == [
        (rated.track_id, 4)
    ]
    assert [row["track"]["track_id"] for row in library("saved")] == [rated.track_id]
    (hidden,) = library("hidden")
    assert (hidden["track"], hidden["artist"]["artist_id"]) == (None, disliked.artist_id)
    undo.retract(listener.feedback_set.get(kind="save"), at=now)
    assert library("saved") == []
    assert api.get("/me/library").status_code == 400


@pytest.mark.parametrize(
    ("path", "cost"),
    [
        ("/me/taste", 6),
        ("/me/statistics?period=all", 15),
        ("/me/library?state=liked", 3),
        ("/me/library?state=hidden", 3),
    ],
)
def test_reports_cost_the_same_however_long_the_history(api, listener, settings, path, cost):
    settings.MUSICREC = settings.MUSICREC | {"REFRESH_SECONDS": 3600.0}

    def fill(n):
        for _ in range(n):
            track = make_track(genres=["a", "b"], year=1990)
            make_slate(listener=listener, tracks=[track], at=timezone.now())
            for kind in ("like", "hide"):
                make_feedback(listener=listener, track=track, kind=kind, at=timezone.now())
            make_slate(listener=listener, tracks=[make_track()], at=timezone.now())

    fill(2)
    api.get(path)
    few = queries_of(lambda: api.get(path))
    fill(8)
    many = queries_of(lambda: api.get(path))
    assert len(few) == len(many) <= cost, "\n".join(many)


@pytest.mark.parametrize("path", ["/me/taste", "/me/statistics", "/me/library?state=liked"])
def test_nobody_sees_a_report(client, path):
    assert client.get(path).status_code == 401


def test_statistics_of_a_listener_who_was_really_served(api, listener, tracks, version):
    recommend(listener=listener, wishes=Wishes(), at=timezone.now() - timedelta(minutes=2))
    make_feedback(listener=listener, track=tracks[0], at=timezone.now() - timedelta(minutes=1))
    recommend(listener=listener, wishes=Wishes(), at=timezone.now())
    report = api.get("/me/statistics").json()
    assert sum(row["slates"] for row in report["strategies"]) == 2
