"""What a listener sees and changes of their own, and that it is nobody else's."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.services import set_preferences
from recommendations.models import Feedback, Hidden, Retraction, Taste
from recommendations.services.effects import drain_outbox
from recommendations.tests.factories import make_feedback, make_listener, make_token, make_track
from recommendations.tests.test_queries import queries_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def stranger():
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(make_listener())}")
    return client


def respond(api, track, **body):
    answer = api.post("/feedback", {"track_id": track.track_id, **body})
    assert answer.status_code == 201, answer.json()
    return answer.json()["event_id"]


PRIVATE = ["/me", "/me/state", "/me/history", "/me/hidden", "/me/tokens"]


@pytest.mark.parametrize("path", PRIVATE)
def test_nobody_sees_anything(path):
    assert APIClient().get(path).status_code == 401


@pytest.mark.parametrize("path", PRIVATE)
def test_no_cache_keeps_what_is_private(api, path):
    control = api.get(path).headers["Cache-Control"]
    assert "private" in control or "no-store" in control


def test_me_says_who_is_logged_in(api, listener):
    set_preferences(listener=listener, genres=["jazz"], energy=0.5)
    make_feedback(listener=listener)
    answer = api.get("/me").json()
    assert answer["user_id"] == listener.key
    assert answer["email"] == listener.user.email
    assert (answer["email_verified"], answer["mfa_enabled"], answer["is_staff"]) == (False,) * 3
    assert answer["preferences"] == {"genres": ["jazz"], "artists": [], "energy": 0.5, "mood": ""}
    assert answer["n_feedback"] == 1


def test_a_profile_changes_by_what_is_given(api):
    answer = api.patch("/me", {"country": "DE", "time_zone": "Europe/Berlin", "onboarded": True})
    assert answer.status_code == 200
    answer = api.patch("/me", {"music_service": "spotify"}).json()
    given = (answer["country"], answer["time_zone"], answer["music_service"], answer["onboarded"])
    assert given == ("DE", "Europe/Berlin", "spotify", True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("country", "de"),
        ("country", "DEU"),
        ("country", 7),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../../etc/passwd"),
        ("music_service", "Not A Slug"),
        ("music_service", "x" * 33),
        ("onboarded", "perhaps"),
        ("onboarded", None),
    ],
)
def test_a_profile_out_of_range_names_its_field(api, field, value):
    answer = api.patch("/me", {field: value})
    assert answer.status_code == 400
    assert field in str(answer.json())


def test_the_state_changes_with_responses_preferences_and_hiding_and_stays_otherwise(api, listener):
    def state():
        return api.get("/me/state").json()["version"]

    track = make_track()
    seen = [state()]
    assert state() == seen[0]
    event_id = respond(api, track, kind="like")
    seen.append(state())
    api.post("/preferences/set", {"genres": ["jazz"]})
    seen.append(state())
    hidden = api.post("/me/hidden", {"track_id": track.track_id}).json()
    seen.append(state())
    api.delete(f"/me/hidden/{hidden['id']}")
    seen.append(state())
    api.delete(f"/feedback/{event_id}")
    seen.append(state())
    assert len(set(seen)) == len(seen)
    assert state() == seen[-1]


def test_a_first_list_changes_no_state(api, listener, version):
    before = api.get("/me/state").json()
    assert api.post("/recommend", {"n_recommendations": 5}).status_code == 200
    assert Taste.objects.filter(listener=listener).exists()
    assert api.get("/me/state").json() == before


def test_an_unchanged_state_is_a_304(api):
    etag = api.get("/me/state").headers["ETag"]
    answer = api.get("/me/state", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


def test_the_history_filters_and_pages(api, listener):
    now = timezone.now()
    jazz, rock = make_track(name="Blue in Gréen"), make_track(name="Paranoid")
    for number in range(5):
        make_feedback(listener=listener, track=jazz, at=now - timedelta(days=number))
    make_feedback(listener=listener, track=rock, kind="rating", rating=2, at=now)
    make_feedback(track=jazz)  # somebody else's

    def found(**query):
        return api.get("/me/history", query).json()["results"]

    assert len(found()) == 6
    assert [row["track"]["track_name"] for row in found(kind="rating")] == ["Paranoid"]
    assert len(found(q="green")) == 5
    since = (now - timedelta(days=1, hours=1)).isoformat()
    assert len(found(since=since)) == 3
    assert len(found(until=since)) == 3
    first = api.get("/me/history", {"limit": 4}).json()
    assert (len(first["results"]), first["previous"]) == (4, None)
    second = api.get(first["next"]).json()
    assert len(second["results"]) == 2
    ids = {row["event_id"] for page in (first, second) for row in page["results"]}
    assert len(ids) == 6


@pytest.mark.parametrize(
    "query", [{"kind": "x"}, {"since": "yesterday"}, {"q": "q" * 101}, {"q": "\x00"}]
)
def test_a_filter_that_is_none_is_named(api, query):
    answer = api.get("/me/history", query)
    assert answer.status_code == 400
    assert next(iter(query)) in str(answer.json())


@pytest.mark.parametrize("cursor", ["x", "cD14", "cD0wMDAwLTAwLTAw", "bz05OTk5OTk5OTk5OTk5"])
def test_a_cursor_that_is_none_is_a_404_or_an_empty_page(api, cursor):
    assert api.get("/me/history", {"cursor": cursor}).status_code in (200, 404)


@pytest.mark.parametrize("path", ["/me/history", "/me/hidden"])
def test_a_list_costs_the_same_however_long(api, listener, path):
    def fill(n):
        for _ in range(n):
            track = make_track(genres=["jazz", "soul"])
            make_feedback(listener=listener, track=track, kind="hide")

    fill(1)
    api.get(path)  # the first one notes that the token is used
    one = queries_of(lambda: api.get(path))
    fill(12)
    many = queries_of(lambda: api.get(path))
    assert len(one) == len(many) == 3, "\n".join(many)  # token, rows with tracks, genres


@pytest.mark.parametrize(("path", "cost"), [("/me", 2), ("/me/state", 2)])
def test_what_is_polled_is_cheap(api, listener, path, cost):
    make_feedback(listener=listener)
    api.get(path)
    assert len(queries_of(lambda: api.get(path))) == cost


def test_hiding_is_idempotent_and_the_last_word_counts(api, listener):
    track = make_track()
    first = api.post("/me/hidden", {"track_id": track.track_id})
    again = api.post("/me/hidden", {"track_id": track.track_id, "days": 7})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert again.json()["until"] is not None
    (row,) = api.get("/me/hidden").json()["results"]
    assert row["track"]["track_id"] == track.track_id


def test_hiding_ends_by_itself(api, listener):
    track = make_track()
    api.post("/me/hidden", {"artist_id": track.artist_id, "days": 1})
    assert api.get("/me/hidden").json()["results"][0]["artist"] == {
        "artist_id": track.artist_id,
        "artist": track.artist.name,
    }
    Hidden.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert api.get("/me/hidden").json()["results"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 400),
        ({"track_id": "a", "artist_id": 1}, 400),
        ({"track_id": "none"}, 404),
        ({"artist_id": 10**15}, 404),
        ({"artist_id": 10**30}, 400),
        ({"artist_id": "x"}, 400),
        ({"track_id": "none", "days": 0}, 400),
        ({"track_id": "none", "days": 1e9}, 400),
    ],
)
def test_hiding_what_is_not_there_is_refused(api, body, code):
    assert api.post("/me/hidden", body).status_code == code
    assert not Hidden.objects.exists()


def test_a_hidden_track_is_not_recommended_until_it_is_shown_again(api, listener, tracks):
    shown = api.post("/recommend", {"n_recommendations": 50}).json()["recommendations"]
    track_id = shown[0]["track_id"]
    hidden = api.post("/me/hidden", {"track_id": track_id}).json()["id"]

    def ids():
        answer = api.post("/recommend", {"n_recommendations": 50}).json()
        return {item["track_id"] for item in answer["recommendations"]}

    assert track_id not in ids()
    assert api.delete(f"/me/hidden/{hidden}").status_code == 204
    assert track_id in ids()


def test_nobody_undoes_or_shows_what_is_anothers(api, stranger, listener):
    event_id = respond(api, make_track(), kind="hide")
    hidden = Hidden.objects.get()
    for client in (stranger, APIClient()):
        code = 404 if client is stranger else 401
        assert client.delete(f"/feedback/{event_id}").status_code == code
        assert client.delete(f"/me/hidden/{hidden.pk}").status_code == code
    assert stranger.get("/me/history").json()["results"] == []
    assert not Retraction.objects.exists()
    assert Hidden.objects.exists()


def test_undoing_marks_the_response_and_twice_is_once(api, listener):
    event_id = respond(api, make_track(), kind="like")
    for _ in range(2):
        assert api.delete(f"/feedback/{event_id}").status_code == 204
    assert Retraction.objects.count() == 1
    assert Feedback.objects.count() == 1
    assert api.get("/me/history").json()["results"][0]["undone"] is True
    assert api.get("/me").json()["n_feedback"] == 0


def test_an_event_id_is_undone_whatever_it_is_made_of(api, listener):
    event_id = "a/b c?d#e%2F☃"
    api.post("/feedback", {"track_id": make_track().track_id, "kind": "like", "event_id": event_id})
    assert api.delete(f"/feedback/{quote(event_id, safe='')}").status_code == 204
    assert Retraction.objects.count() == 1


def test_undoing_a_hide_shows_the_track_again(api, listener):
    track = make_track()
    event_id = respond(api, track, kind="hide")
    other = respond(api, track, kind="hide")
    api.delete(f"/feedback/{event_id}")
    assert Hidden.objects.get().feedback.event_id == other  # still hidden by the second
    api.delete(f"/feedback/{other}")
    assert not Hidden.objects.exists()
    assert Taste.objects.get().hidden == {"tracks": {}, "artists": {}}


def test_undoing_a_hide_leaves_what_was_hidden_before_it(api, listener):
    track = make_track()
    api.post("/me/hidden", {"track_id": track.track_id})
    event_id = respond(api, track, kind="hide")
    api.delete(f"/feedback/{event_id}")
    assert Hidden.objects.count() == 1


def test_effects_of_an_undone_response_are_undone(api, listener, tracks):
    slate = api.post("/recommend", {}).json()
    shown = slate["recommendations"][0]["track_id"]
    track = next(track for track in tracks if track.track_id == shown)
    event_id = respond(api, track, kind="like", recommendation_id=slate["recommendation_id"])
    drain_outbox(at=timezone.now())
    track.refresh_from_db()
    assert track.trackheat.heat > 0.9
    api.delete(f"/feedback/{event_id}")
    drain_outbox(at=timezone.now())
    track.trackheat.refresh_from_db()
    assert track.trackheat.heat == pytest.approx(0, abs=1e-6)
    assert track.trackheat.n_feedback == 0
