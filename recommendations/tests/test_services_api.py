"""What a service does with tracks and listeners of its own."""

import itertools
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import quote
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Listener
from accounts.vocabulary import Mood
from experiments.models import AssignmentSettings
from recommendations.models import Feedback, OutboxEvent, Recommendation, Retraction, Taste, Track
from recommendations.services.batch import recommend_many
from recommendations.services.recommend import recommend
from recommendations.services.taste import build_taste
from recommendations.services.wishes import Wishes
from recommendations.tests.factories import make_track, service_client

pytestmark = pytest.mark.django_db


@pytest.fixture
def radio(db):
    return service_client("radio")


@pytest.fixture
def few(db):
    return [make_track(track_id=f"a{n}", duration_ms=60_000) for n in range(5)]


def send(client, rows, **query):
    address = "/feedback/bulk" + ("?" + "&".join(f"{k}={v}" for k, v in query.items()))
    answer = client.post(address, rows)
    assert answer.status_code == 200, answer.content
    return answer.json()


def statuses(answer):
    return [row["status"] for row in answer["results"]]


def row(user="mia", track="a1", **more):
    return {"user_id": user, "track_id": track, **(more or {"kind": "play"})}


# -- tracks ------------------------------------------------------------------------------------


def test_tracks_are_created_changed_and_found(radio, client):
    tracks = [
        {
            "track_id": "n1",
            "track_name": "Ágætis byrjun",
            "artist": "Sigur Rós",
            "genres": ["Post-Rock", "post-rock"],
            "year": 1999,
            "audio": {"energy": 0.3},
            "cover_url": "https://img.example/1.jpg",
            "musicbrainz_id": "3f0c5f0e-6f0b-4d9a-9f3e-1f6a5b1f0a00",
        },
        {"track_id": "n2", "track_name": "Svefn-g-englar", "artist": "Sigur Rós"},
    ]
    assert radio.put("/tracks", tracks).json() == {"created": 2, "changed": 0, "unchanged": 0}
    assert radio.put("/tracks", tracks).json() == {"created": 0, "changed": 0, "unchanged": 2}
    found = client.get("/tracks?q=agaetis").json()["results"]
    assert [track["track_id"] for track in found] == ["n1"]
    assert found[0]["genres"] == ["post-rock"]
    changed = {"track_name": "Ágætis byrjun", "artist": "Sigur Rós", "year": 2000}
    assert radio.put("/tracks/n1", changed).json()["changed"] == 1
    track = Track.objects.get(track_id="n1")
    assert (track.year, track.energy, list(track.genres.all())) == (2000, None, [])
    assert track.cover_url == "https://img.example/1.jpg"  # what is left out of these stays


@pytest.mark.parametrize(
    ("track", "field"),
    [
        ({"track_id": "a/b"}, "track_id"),
        ({"track_name": ""}, "track_name"),
        ({"artist": None}, "artist"),
        ({"year": 10**29}, "year"),
        ({"popularity": 101}, "popularity"),
        ({"audio": {"energy": 2}}, "audio.energy"),
        ({"cover_url": "http://img.example/1.jpg"}, "cover_url"),
        ({"cover_url": "javascript:alert(1)"}, "cover_url"),
        ({"genres": ["x" * 51]}, "genres.0"),
    ],
)
def test_a_bad_track_is_named_and_nothing_is_changed(radio, track, field):
    good = {"track_id": "x", "track_name": "X", "artist": "Y"}
    answer = radio.put("/tracks", [good, good | track])
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [f"1.{field}"]
    assert not Track.objects.exists()


# -- listeners ---------------------------------------------------------------------------------


def test_listeners_are_created_and_changed_in_bulk(radio):
    rows = [{"user_id": "a", "country": "SE", "genres": ["Jazz"]}, {"user_id": "b"}]
    assert radio.put("/listeners", rows).json() == {"created": 2, "updated": 0}
    rows = [{"user_id": "a", "time_zone": "Europe/Stockholm"}, {"user_id": "c"}]
    assert radio.put("/listeners", rows).json() == {"created": 1, "updated": 1}
    told = radio.get("/listeners/a").json()
    assert (told["country"], told["time_zone"]) == ("SE", "Europe/Stockholm")
    assert told["preferences"]["genres"] == ["jazz"]
    assert radio.get("/listeners/b").json()["preferences"] is None


def test_an_erased_listener_is_gone_and_their_slates_are_nobodys(radio, few):
    send(radio, [row(rating=5)])
    radio.post("/recommend", {"user_id": "mia"})
    assert radio.delete("/listeners/mia").status_code == 204
    assert radio.get("/listeners/mia").status_code == 404
    assert not Listener.objects.exists()
    assert not Taste.objects.exists()
    assert Recommendation.objects.get().listener is None
    assert Feedback.objects.get().listener is None


@pytest.mark.parametrize("user_id", ["tenant/42", "/42", "a\nb", "42/", "x/recommend"])
@pytest.mark.parametrize("door", ["/feedback", "/feedback/bulk"])
def test_a_listener_whose_id_stands_badly_in_an_address_is_found_and_erased(
    radio, few, user_id, door
):
    said = row(user=user_id, kind="like")
    assert radio.post(door, [said] if door.endswith("bulk") else said).status_code in (200, 201)
    address = f"/listeners/{quote(user_id, safe='')}"
    assert radio.get(address).json()["user_id"] == user_id
    assert radio.delete(address).status_code == 204
    assert radio.get(address).status_code == 404
    assert not Listener.objects.exists()


def test_a_listener_of_a_tenant_is_changed_like_any_other(radio):
    assert radio.put("/listeners/tenant%2F42", {"country": "SE"}).status_code == 200
    assert radio.put("/listeners", [{"user_id": "tenant/42"}]).json()["updated"] == 1
    assert radio.get("/listeners/tenant/42").json()["country"] == "SE"
    answer = radio.put("/listeners/42/", {"country": "SE"})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["user_id"])


# -- feedback in bulk --------------------------------------------------------------------------


def test_rows_are_taken_each_for_itself(radio, few):
    answer = send(
        radio,
        [
            row(event_id="e1", kind="play", completion=0.5, occurred_at="2026-01-01T00:00:00Z"),
            row(event_id="e1", kind="play", completion=0.5),
            row(event_id="e1", kind="like"),
            row(event_id="e1", kind="play", completion=0.75),
            row(track="nothing", kind="like"),
            row(user="ole", rating=4),
            row(rating=9),
            "no object",
            row(kind="like", recommendation_id="3f0c5f0e-6f0b-4d9a-9f3e-1f6a5b1f0a00"),
        ],
    )
    assert statuses(answer) == [
        "recorded", "duplicate", "refused", "refused", "refused", "recorded", "refused", "refused",
        "refused",
    ]  # fmt: skip
    assert [r.get("code") for r in answer["results"]] == [
        None, None, "event_id_reused", "event_id_reused", "unknown_track", None, "invalid",
        "invalid", "unknown_recommendation",
    ]  # fmt: skip
    assert (answer["recorded"], answer["duplicates"], answer["refused"]) == (2, 1, 6)
    assert Feedback.objects.count() == OutboxEvent.objects.count() == 2
    kept = Feedback.objects.get(event_id="e1")
    assert (kept.preference, kept.occurred_at) == (0.5, datetime(2026, 1, 1, tzinfo=UTC))
    assert Listener.objects.count() == 2


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "1989-12-31T23:59:59Z"])
def test_a_time_before_there_was_anything_to_tell_of_is_refused_by_its_field(radio, few, moment):
    answer = send(radio, [row(kind="like", occurred_at=moment), row(kind="like")])
    assert statuses(answer) == ["refused", "recorded"]
    assert answer["results"][0]["detail"] == "occurred_at: This lies before 1990."


def test_the_same_rows_again_change_nothing(radio, few):
    rows = [row(event_id=f"e{n}", kind="play") for n in range(3)]
    send(radio, rows)
    assert statuses(send(radio, rows)) == ["duplicate"] * 3
    assert Feedback.objects.count() == 3


def test_rows_without_event_ids_are_known_again_by_the_requests_key(radio, few):
    rows = [row(), row(track="a2")]
    for expected in ("recorded", "duplicate"):
        answer = radio.post("/feedback/bulk", rows, headers={"idempotency-key": "night-1"})
        assert statuses(answer.json()) == [expected] * 2
    answer = radio.post("/feedback/bulk", rows, headers={"idempotency-key": "x" * 59})
    assert answer.status_code == 400


def test_a_line_that_is_no_json_spoils_no_other(radio, few):
    lines = [json.dumps(row(kind="like")), "{oops", "", json.dumps(row(track="a2", kind="like"))]
    answer = radio.generic(
        "POST", "/feedback/bulk", "\n".join(lines), content_type="application/x-ndjson"
    )
    assert statuses(answer.json()) == ["recorded", "refused", "recorded"]


def test_accumulated_responses_all_count_and_overwriting_leaves_the_last(radio, few):
    send(radio, [row(rating=2)])
    send(radio, [row(rating=4)])
    assert Retraction.objects.count() == 0
    answer = send(radio, [row(rating=5), row(track="a2", rating=1)], mode="overwrite")
    assert statuses(answer) == ["replaced", "recorded"]
    assert sorted(Retraction.objects.values_list("feedback__rating", flat=True)) == [2, 4]
    standing = Feedback.objects.standing().values_list("track__track_id", "rating")
    assert set(standing) == {("a1", 5), ("a2", 1)}
    taste = Taste.objects.get()
    assert (taste.n_feedback, taste.preference_sum) == (2, 1.0)


def test_many_rows_leave_the_taste_that_taking_them_one_by_one_leaves(radio, few):
    radio.post("/feedback", row(rating=3))  # the taste exists before
    send(
        radio,
        [row(track="a2", rating=5), row(track="a3", kind="play", completion=0.4),
         row(track="a4", kind="hide"), row(track="a1", kind="skip")],
    )  # fmt: skip
    kept, fresh = Taste.objects.get(), build_taste(Listener.objects.get())
    assert bytes(kept.history) == fresh.history
    for name in ("n_feedback", "preference_sum", "n_plays", "n_skips", "hidden", "session"):
        assert getattr(kept, name) == getattr(fresh, name), name


def test_the_next_list_knows_what_came_in_bulk(radio, version):
    radio.put("/listeners/mia", {})
    before = radio.post("/recommend", {"user_id": "mia"}).json()["recommendations"]
    send(radio, [row(track=f"t{n}", rating=5) for n in range(2, 30, 3)])
    after = radio.post("/recommend", {"user_id": "mia"}).json()["recommendations"]
    assert [item["track_id"] for item in after] != [item["track_id"] for item in before]


def test_queries_do_not_grow_with_the_rows(radio, few):
    def cost(n, names):
        with CaptureQueriesContext(connection) as captured:
            send(radio, [row(user=f"u{i % names}", track=f"a{i % 5}", kind="play")
                         for i in range(n)])  # fmt: skip
        return len([q for q in captured if "servingstate" not in q["sql"]])

    cost(5, 1)
    assert cost(500, 20) <= cost(20, 20) + 2


@pytest.mark.parametrize("body", [[], {}, "x", None, 5, [{}] * 10_001])
def test_a_body_that_is_no_list_of_rows_is_refused(radio, body):
    assert radio.post("/feedback/bulk", body).status_code == 400


def test_ten_megabytes_in_bulk_and_no_more(radio, few):
    long = row(kind="play", context={"mood": "happy", "note": "x" * 900})
    assert statuses(send(radio, [long] * 3000)) == ["recorded"] * 3000  # about 3 MB
    answer = radio.post("/feedback/bulk", [row(note="x" * 11_000_000)])
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    answer = radio.post("/recommend", {"user_id": "x" * 1_100_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


# -- many lists --------------------------------------------------------------------------------


def test_a_batch_answers_each_as_a_single_request_would(radio, version):
    send(radio, [row(user=f"u{n}", track=f"t{n}", rating=5) for n in range(6)])
    answer = radio.post(
        "/recommend/batch", {"user_ids": ["u3", "u1", "nobody", "u3"], "n_recommendations": 5}
    )
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert told["unknown"] == ["nobody"]
    assert [each["user_id"] for each in told["results"]] == ["u3", "u1"]
    for each in told["results"]:
        slate = Recommendation.objects.get(pk=each["recommendation_id"])
        assert slate.listener.external_id == each["user_id"]
        assert len(each["recommendations"]) == 5
        assert OutboxEvent.objects.filter(recommendation=slate).count() == 1
        answered = radio.post(
            "/feedback",
            {
                "user_id": each["user_id"],
                "track_id": each["recommendations"][0]["track_id"],
                "rating": 4,
                "recommendation_id": each["recommendation_id"],
            },
        )
        assert answered.status_code == 201


def test_a_batch_gives_the_very_lists_that_single_requests_give(radio, version, monkeypatch):
    send(radio, [row(user=f"u{n % 7}", track=f"t{n}", rating=1 + n % 5) for n in range(30)])
    radio.put("/listeners", [{"user_id": "u7", "genres": ["rock"]}, {"user_id": "u8"}])
    AssignmentSettings.objects.update(default_policy="contextual_bandit")
    wishes, at = Wishes(n=15, mood=Mood.HAPPY, adventure=0.7), datetime.now(UTC)

    def listeners():
        return list(Listener.objects.exclude(service=None).select_related("preferences"))

    def told(answers):
        return [(a.items, a.recommendation.probabilities, a.recommendation.pk) for a in answers]

    def fix_draws():
        """Give the slates ids that are known beforehand: bandit and exploration draw by them."""
        ids = (UUID(int=n * 2**64) for n in itertools.count(1))
        named = SimpleNamespace(uuid4=lambda: next(ids))
        monkeypatch.setattr("recommendations.services.recommend.uuid", named)

    fix_draws()
    single = [recommend(listener=who, wishes=wishes, at=at, record=False) for who in listeners()]
    fix_draws()
    batch = recommend_many(listeners=listeners(), wishes=wishes, at=at)
    assert told(batch) == told(single)
    assert len({answer.recommendation.strategy for answer in single}) > 2


def test_a_batch_costs_the_same_queries_however_long(radio, version):
    send(radio, [row(user=f"u{n}", track=f"t{n}", rating=5) for n in range(40)])
    radio.post("/recommend/batch", {"user_ids": [f"u{n}" for n in range(40)]})

    def cost(n):
        with CaptureQueriesContext(connection) as captured:
            radio.post("/recommend/batch", {"user_ids": [f"u{i}" for i in range(n)]})
        return len([q for q in captured if "servingstate" not in q["sql"]])

    # One read of the bandit a second, exposures and decisions where the draw brings them.
    assert cost(40) <= cost(2) + 4


def test_one_query_more_than_a_listeners_own_for_a_services_single_list(radio, version):
    send(radio, [row(rating=5, track="t1")])
    body = {"user_id": "mia"}
    radio.post("/recommend", body)
    with CaptureQueriesContext(connection) as captured:
        radio.post("/recommend", body)
    control = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE SAVEPOINT")
    asked = [
        q["sql"] for q in captured
        if not q["sql"].upper().startswith(control) and "servingstate" not in q["sql"]
    ]  # fmt: skip
    assert len(asked) <= 7, asked
