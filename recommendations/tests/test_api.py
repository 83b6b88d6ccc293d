"""The four calls, as a client makes them."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from rest_framework.test import APIClient

from accounts.services import set_preferences
from recommendations.models import Feedback, Hidden, OutboxEvent, Recommendation, Taste, Track
from recommendations.services.catalogue import touch_catalogue
from recommendations.serving import state
from recommendations.tests.factories import (
    make_catalogue,
    make_listener,
    make_slate,
    make_token,
    serve_all_by,
)
from recommendations.tests.small_world import genre_of

pytestmark = pytest.mark.django_db


def ask(api, **wishes):
    response = api.post("/recommend", wishes)
    assert response.status_code == 200, response.content
    return response.json()


def respond(api, **response):
    return api.post("/feedback", response)


def ids(answer):
    return [item["track_id"] for item in answer["recommendations"]]


# -- the main job ------------------------------------------------------------------------------


def test_the_main_job_by_a_new_client(tracks, version):
    api = APIClient()
    registered = api.post(
        "/auth/register", {"email": "user@example.com", "password": "a long password"}
    )
    assert registered.status_code == 201
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {registered.json()['token']}")
    wanted = {"genres": ["Jazz", "rock"], "energy": 0.7, "mood": "energetic"}
    stated = api.post("/preferences/set", wanted)
    assert stated.status_code == 200
    assert stated.json()["genres"] == ["jazz", "rock"]
    first = ask(api, n_recommendations=10, mood="happy", device_type="desktop")
    assert len(set(ids(first))) == 10
    rated = ids(first)[0]
    response = respond(
        api, track_id=rated, rating=5, context={"mood": "party", "device_type": "mobile"}
    )
    assert response.status_code == 201
    assert response.json()["preference"] == 1.0
    second = ask(api, n_recommendations=10, mood="happy", device_type="desktop")
    assert ids(second) != ids(first)
    assert rated not in ids(second)


def test_an_answer_says_all_that_a_client_needs(api, version):
    answer = ask(api, n_recommendations=10)
    slate = Recommendation.objects.get()
    assert answer["recommendation_id"] == str(slate.pk)
    assert answer["model_version"] == version.pk
    assert answer["strategy"] == slate.strategy
    assert datetime.fromisoformat(answer["generated_at"]) <= datetime.now(UTC)
    names = dict(Track.objects.values_list("track_id", "name"))
    for item in answer["recommendations"]:
        assert item["track_name"] == names[item["track_id"]]
        assert item["artist"].startswith("Artist ")
        assert 1 <= item["prediction_score"] <= 5
        assert 0 <= item["confidence"] <= 1
        assert item["strategy"] == answer["strategy"]
        assert item["explanation"]


def test_the_ledger_says_what_was_shown_in_its_order(api, listener, version):
    answer = ask(api, n_recommendations=7)
    slate = Recommendation.objects.get()
    by_pk = dict(Track.objects.values_list("pk", "track_id"))
    assert [by_pk[pk] for pk in slate.tracks] == ids(answer)
    assert slate.scores == [item["score"] for item in answer["recommendations"]]
    assert slate.listener == listener
    assert OutboxEvent.objects.get().recommendation == slate


@pytest.mark.parametrize("n", [1, 10, 50])
def test_a_list_is_as_long_as_asked_and_names_no_track_twice(api, version, n):
    assert len(set(ids(ask(api, n_recommendations=n)))) == n


def test_a_list_of_a_hundred(api, db):
    make_catalogue(120)
    assert len(set(ids(ask(api, n_recommendations=100)))) == 100


def test_a_list_is_as_long_as_the_catalogue_where_that_is_shorter(api, tracks):
    answer = ask(api, n_recommendations=100)
    assert len(answer["recommendations"]) == len(tracks)
    assert answer["fallback"]


def test_a_list_without_wishes_has_ten_tracks(api, tracks):
    assert len(ids(ask(api))) == 10


def test_genres_filter(api, version):
    answer = ask(api, n_recommendations=10, genres=["Techno"])
    assert {tuple(item["genres"]) for item in answer["recommendations"]} == {("techno",)}
    assert not (answer["fallback"] or "").startswith("too_few")


def test_where_genres_leave_too_little_others_fill_the_list_and_it_says_so(api, listener, version):
    set_preferences(listener=listener, genres=["techno"])
    answer = ask(api, n_recommendations=30, genres=["techno"])
    assert len(set(ids(answer))) == 30
    assert answer["fallback"] == "too_few_tracks:genres"


def test_excluded_tracks_do_not_come_even_where_the_list_gets_short(api, tracks):
    excluded = [track.track_id for track in tracks[:55]]
    answer = ask(api, n_recommendations=10, exclude=[*excluded, "no such track"])
    assert sorted(ids(answer)) == sorted(track.track_id for track in tracks[55:])


def test_everything_excluded_is_an_empty_list_and_no_error(api, tracks):
    answer = ask(api, exclude=[track.track_id for track in tracks])
    assert answer["recommendations"] == []


def test_an_empty_catalogue_is_an_empty_list_and_no_error(api, db):
    assert ask(api)["recommendations"] == []


def test_with_every_track_hidden_lists_are_empty_and_responses_are_taken(api, tracks, version):
    like = {"track_id": tracks[0].track_id, "kind": "like"}
    assert api.post("/feedback", like).status_code == 201
    Track.objects.update(is_active=False)
    touch_catalogue()
    state.forget()
    assert ask(api)["recommendations"] == []
    assert api.post("/feedback", like | {"kind": "save"}).status_code == 201
    assert ask(api)["recommendations"] == []


def test_stated_genres_lead_the_first_list(listener, api, tracks):
    set_preferences(listener=listener, genres=["jazz"])
    answer = ask(api, n_recommendations=10)
    jazz = sum("jazz" in item["genres"] for item in answer["recommendations"])
    assert jazz >= 8


# -- responses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "preference"),
    [
        ({"rating": 5}, 1.0),
        ({"rating": 1}, 0.0),
        ({"rating": 4, "kind": "rating"}, 0.75),
        ({"kind": "like"}, 1.0),
        ({"kind": "dislike"}, 0.0),
        ({"kind": "save"}, 1.0),
        ({"kind": "hide"}, 0.0),
        ({"kind": "play"}, 1.0),
        ({"kind": "play", "completion": 0.4}, 0.4),
        ({"kind": "skip"}, 0.0),
        ({"kind": "skip", "completion": 0.3}, 0.0),
        ({"kind": "skip", "completion": 0.8}, 0.8),
    ],
)
def test_every_kind_of_response_is_taken(api, listener, tracks, response, preference):
    answer = respond(api, track_id="t1", **response)
    assert answer.status_code == 201, answer.content
    row = Feedback.objects.get()
    assert row.preference == preference == answer.json()["preference"]
    assert (row.listener, row.track) == (listener, tracks[1])
    assert Taste.objects.get().n_feedback == 1


@pytest.mark.parametrize(
    ("response", "field"),
    [
        ({}, "rating"),
        ({"rating": 0}, "rating"),
        ({"rating": 6}, "rating"),
        ({"rating": 2.5}, "rating"),
        ({"kind": "rating"}, "rating"),
        ({"kind": "like", "rating": 5}, "rating"),
        ({"kind": "love"}, "kind"),
        ({"kind": "like", "completion": 0.5}, "completion"),
        ({"kind": "play", "completion": 1.1}, "completion"),
        ({"kind": "play", "completion": -0.1}, "completion"),
        ({"kind": "like", "track_id": "no such track"}, "track_id"),
        ({"kind": "like", "event_id": "e" * 65}, "event_id"),
        ({"kind": "like", "event_id": ""}, "event_id"),
        ({"kind": "like", "recommendation_id": "no uuid"}, "recommendation_id"),
        ({"kind": "like", "context": {"mood": "bored"}}, "context"),
        ({"kind": "like", "occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at"),
        ({"kind": "like", "occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"kind": "like", "occurred_at": "0001-01-01T00:00:00Z"}, "occurred_at"),
        ({"kind": "like", "occurred_at": "1989-12-31T23:59:59Z"}, "occurred_at"),
    ],
)
def test_a_response_that_makes_no_sense_is_refused_by_field(api, tracks, response, field):
    answer = respond(api, **{"track_id": "t1"} | response)
    assert answer.status_code == 400
    assert [name.split(".")[0] for name in answer.json()["errors"]] == [field]
    assert not Feedback.objects.exists()


def test_a_response_to_a_slate_repeats_what_the_slate_says_of_the_track(api, tracks):
    answer = ask(api, n_recommendations=5)
    respond(
        api, track_id=ids(answer)[3], kind="save", recommendation_id=answer["recommendation_id"]
    )
    row = Feedback.objects.get()
    slate = Recommendation.objects.get()
    assert (row.recommendation, row.position) == (slate, 3)
    assert (row.strategy, row.propensity) == (slate.strategy, slate.propensity)


def test_a_slate_of_somebody_else_is_not_found(api, tracks):
    other = make_slate(listener=make_listener(), tracks=tracks[:5])
    answer = respond(api, track_id="t1", rating=5, recommendation_id=str(other.pk))
    assert answer.status_code == 404
    nothing = respond(api, track_id="t1", rating=5, recommendation_id=str(uuid.uuid4()))
    assert (nothing.status_code, nothing.json()["detail"]) == (404, answer.json()["detail"])
    assert not Feedback.objects.exists()


def test_a_track_that_was_not_on_the_slate_is_a_conflict(api, listener, tracks):
    slate = make_slate(listener=listener, tracks=tracks[:5])
    answer = respond(api, track_id="t9", rating=5, recommendation_id=str(slate.pk))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_on_slate")
    assert not Feedback.objects.exists()


def test_an_event_sent_twice_counts_once(api, tracks):
    first = respond(api, track_id="t1", rating=5, event_id="e1")
    again = respond(api, track_id="t1", rating=5, event_id="e1")
    assert (first.status_code, first.json()["duplicate"]) == (201, False)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert Feedback.objects.count() == OutboxEvent.objects.count() == 1
    assert Taste.objects.get().n_feedback == 1


@pytest.mark.parametrize(
    "other", [{"track_id": "t2"}, {"rating": 4}, {"rating": None, "kind": "like"}]
)
def test_an_event_id_cannot_name_another_response(api, tracks, other):
    sent = {"track_id": "t1", "rating": 5, "event_id": "e1"}
    respond(api, **sent)
    answer = respond(api, **sent | other)
    assert (answer.status_code, answer.json()["code"]) == (409, "event_id_reused")
    assert Feedback.objects.count() == 1


def test_an_event_id_cannot_name_another_share_of_the_same_play(api, tracks):
    sent = {"track_id": "t1", "kind": "play", "completion": 0.3, "event_id": "e1"}
    assert respond(api, **sent).status_code == 201
    assert respond(api, **sent).json()["duplicate"]
    answer = respond(api, **sent | {"completion": 1.0})
    assert (answer.status_code, answer.json()["code"]) == (409, "event_id_reused")


def test_of_an_event_sent_twice_nothing_but_the_first_is_kept(api, listener, tracks):
    respond(api, track_id="t1", rating=5, event_id="e1")
    taste = Taste.objects.values().get(listener=listener)
    respond(api, track_id="t1", rating=5, event_id="e1")
    respond(api, track_id="t2", kind="hide", event_id="e1")  # refused
    assert Taste.objects.values().get(listener=listener) == taste
    assert not Hidden.objects.exists()


def test_a_track_out_of_the_catalogue_can_still_be_responded_to(api, listener, tracks):
    ask(api)  # what is in memory knows it
    Track.objects.filter(pk=tracks[1].pk).update(is_active=False)
    touch_catalogue()
    state.forget()
    assert respond(api, track_id="t1", kind="play", completion=1.0).status_code == 201
    assert Taste.objects.get(listener=listener).session["minutes"] == 3.0


def test_two_listeners_may_use_the_same_event_id(api, tracks):
    other = APIClient()
    other.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(make_listener())}")
    codes = [
        respond(who, track_id="t1", rating=5, event_id="1").status_code for who in (api, other)
    ]
    assert codes == [201, 201]


def test_a_hidden_track_is_gone_at_once_and_for_good(api, version):
    hidden = ids(ask(api, n_recommendations=5))[0]
    respond(api, track_id=hidden, kind="hide")
    # Not even where nothing else is left.
    answer = ask(api, n_recommendations=100)
    assert len(answer["recommendations"]) == 59
    assert hidden not in ids(answer)


def test_five_stars_for_one_genre_bring_more_of_it(listener, api, version):
    serve_all_by("hybrid_ensemble")
    set_preferences(listener=listener, genres=["jazz"])
    before = ask(api, n_recommendations=10, mood="calm")
    for number in range(2, 30, 3):
        assert genre_of(number) == "techno"
        respond(api, track_id=f"t{number}", rating=5)
    after = ask(api, n_recommendations=10)

    def n_techno(answer):
        return sum(item["genres"] == ["techno"] for item in answer["recommendations"])

    assert n_techno(after) > n_techno(before)


def test_a_late_report_keeps_the_time_it_happened(api, tracks):
    moment = datetime.now(UTC) - timedelta(days=3)
    respond(api, track_id="t1", kind="play", occurred_at=moment.isoformat())
    row = Feedback.objects.get()
    assert row.occurred_at == moment
    assert row.received_at - row.occurred_at > timedelta(days=2)


# -- who asks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/recommend", "/feedback", "/preferences/set"])
def test_without_a_token_nothing_is_answered(path, tracks):
    answer = APIClient().post(path, {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/recommend", {}),
        ("/feedback", {"track_id": "t1", "rating": 5}),
        ("/preferences/set", {"genres": ["pop"]}),
    ],
)
def test_a_listener_speaks_for_nobody_else(api, listener, tracks, path, body):
    other = make_listener(external_id="someone")
    for name in (other.key, str(other.uuid), "nobody"):
        assert api.post(path, {**body, "user_id": name}).status_code == 404
    assert api.post(path, {**body, "user_id": listener.key}).status_code in (200, 201)


# -- status ------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
def test_a_client_gets_the_status_as_json(client, version, accept):
    headers = {"accept": accept} if accept else {}
    answer = client.get("/", headers=headers)
    assert answer.headers["Content-Type"] == "application/json"
    status = answer.json()["status"]
    assert (status["tracks"], status["model_version"]) == (60, version.pk)


def test_a_browser_gets_the_page(client, version):
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    answer = client.get("/", headers={"accept": accept})
    assert answer.headers["Content-Type"].startswith("text/html")
    assert b"<h1>" in answer.content


def test_alive(client):
    assert client.get("/livez").json() == {"status": "ok"}


def test_ready_with_a_catalogue_and_migrations(client, version):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert set(answer.json()["checks"].values()) == {"ok"}


def test_ready_without_a_model_too(client, tracks):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["model"]) == (200, "no_model")


def test_not_ready_with_an_empty_catalogue(client, db):
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["catalogue"] == "empty"


def test_not_ready_before_the_migrations(client, tracks):
    from django.db.migrations.recorder import MigrationRecorder

    MigrationRecorder.Migration.objects.filter(app="recommendations").delete()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["migrations"].endswith("not applied")
