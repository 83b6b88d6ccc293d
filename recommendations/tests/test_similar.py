import pytest

from recommendations.models import ModelVersion
from recommendations.serving import state


def similar(api, track, limit=5):
    return api.get(f"/tracks/{track.track_id}/similar", {"limit": limit})


def test_similar_tracks_are_others_each_once(api, tracks, version):
    answer = similar(api, tracks[0])
    assert answer.status_code == 200
    found = [item["track_id"] for item in answer.json()]
    assert len(set(found)) == len(found) == 5
    assert tracks[0].track_id not in found
    assert answer.json()[0]["source"] == "listening"


def test_without_a_model_content_decides(api, tracks):
    state.forget()
    assert {item["source"] for item in similar(api, tracks[0]).json()} == {"content"}


@pytest.mark.parametrize("n", ["0", "101", "many"])
def test_a_bad_number_is_named(api, tracks, n):
    answer = similar(api, tracks[0], n)
    assert answer.status_code == 400
    assert "limit" in answer.json()["errors"]


def test_an_unknown_track_is_not_found(api, tracks):
    assert api.get("/tracks/nothing/similar").status_code == 404


def test_the_registry_shows_what_serves_in_a_query_that_does_not_grow(admin_client, version):
    page = admin_client.get("/admin/recommendations/modelversion/")
    assert page.status_code == 200
    assert [row.is_serving for row in page.context["cl"].queryset] == [True]
    assert ModelVersion.objects.count() == 1


@pytest.mark.parametrize(
    "model",
    ["track", "artist", "genre", "trainingrun", "outboxevent", "recommendation", "feedback"],
)
def test_every_list_of_the_admin_opens(admin_client, tracks, model):
    assert admin_client.get(f"/admin/recommendations/{model}/").status_code == 200
