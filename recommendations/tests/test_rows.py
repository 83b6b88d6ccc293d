"""Rows of recommendations."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recommendations.models import OutboxEvent, Recommendation, Track
from recommendations.services.effects import all_listener_events
from recommendations.tests.factories import serve_all_by

pytestmark = pytest.mark.django_db


def ask(api, **wishes):
    answer = api.post("/recommend/rows", wishes)
    assert answer.status_code == 200, answer.content
    return answer.json()["rows"]


def tracks_of(row):
    return [item["track_id"] for item in row["slate"]["recommendations"]]


def test_rows_say_why_and_name_no_track_twice(api, version):
    api.post("/feedback", {"track_id": "t3", "rating": 5})
    rows = ask(api, n_per_row=4, mood="calm")
    keys = [row["key"] for row in rows]
    assert keys[:2] == ["for_now", "because"]
    assert {"discovery", "new"} <= set(keys)
    because = rows[1]
    assert because["title"] == "Because you like Song 3"
    assert because["slate"]["recommendations"][0]["reasons"][0] == {
        "signal": "similar",
        "text": "people who play Song 3 play it",
        "track_id": "t3",
    }
    shown = [track for row in rows for track in tracks_of(row)]
    assert len(set(shown)) == len(shown)
    assert all(row["title"] and row["why"] for row in rows)


def test_only_the_list_for_now_goes_through_policy_and_bandit(api, version):
    api.post("/feedback", {"track_id": "t3", "rating": 5})
    OutboxEvent.objects.all().delete()
    rows = ask(api, n_per_row=4)
    for row in rows[1:]:
        slate = Recommendation.objects.get(pk=row["slate"]["recommendation_id"])
        assert slate.policy == f"row_{row['key']}"
        assert (slate.propensity, slate.experiment, slate.probabilities) == (1.0, "", {})
    first = OutboxEvent.objects.get()
    assert str(first.recommendation_id) == rows[0]["slate"]["recommendation_id"]
    keys = {event.event_key for event in all_listener_events() if event.kind == "slate"}
    assert keys == {f"slate:{first.recommendation_id}"}


def test_a_row_can_be_answered_like_any_list(api, version):
    rows = ask(api, n_per_row=4)
    row = rows[-1]
    answer = api.post(
        "/feedback",
        {
            "track_id": tracks_of(row)[0],
            "rating": 4,
            "recommendation_id": row["slate"]["recommendation_id"],
        },
    )
    assert answer.status_code == 201


def test_somebody_new_gets_rows_too(api, tracks):
    assert [row["key"] for row in ask(api)] == ["for_now", "new"]


def test_queries_do_not_grow_with_rows_or_tracks(api, version):
    api.post("/feedback", {"track_id": "t3", "rating": 5})
    ask(api)
    counts = []
    for n in (2, 10):
        with CaptureQueriesContext(connection) as captured:
            ask(api, n_per_row=n)
        counts.append(len([q for q in captured if "servingstate" not in q["sql"]]))
    assert counts[0] == counts[1]


def test_an_activity_moves_the_list(api, listener, version):
    serve_all_by("hybrid_ensemble")
    api.post("/feedback", {"track_id": "t3", "rating": 5})

    def energies(**wishes):
        answer = api.post("/recommend", {"n_recommendations": 8, **wishes}).json()
        energy = dict(Track.objects.values_list("track_id", "energy"))
        return sum(energy[item["track_id"]] for item in answer["recommendations"])

    assert energies(activity="workout") > energies(activity="sleep")


def test_only_staff_may_name_a_strategy(api, listener, version):
    body = {"strategy": "trending"}
    assert api.post("/recommend", body).status_code == 403
    listener.user.is_staff = True
    listener.user.save()
    answer = api.post("/recommend", body).json()
    assert (answer["policy"], answer["strategy"]) == ("forced", "trending")


def test_an_item_says_all_that_a_card_shows(api, version):
    item = api.post("/recommend", {}).json()["recommendations"][0]
    assert {"artist_id", "album", "year", "duration_ms", "popularity", "cover_url"} <= set(item)
    assert item["reasons"]
    assert all(reason["text"] in item["explanation"] for reason in item["reasons"])
