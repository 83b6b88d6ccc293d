"""How often a request asks the database, however long the listener's history is."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recommendations.tests.factories import make_feedback_row, make_play_count

pytestmark = pytest.mark.django_db

_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE SAVEPOINT")


def queries_of(act):
    """Return the statements of one warm request, transaction control apart."""
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert act().status_code in (200, 201)
    statements = [query["sql"] for query in captured]
    return [sql for sql in statements if not sql.upper().startswith(_CONTROL)]


def recommend(api):
    return lambda: api.post("/recommend", {"n_recommendations": 10})


def respond(api, track="t1", **more):
    return lambda: api.post("/feedback", {"track_id": track, "rating": 5, **more})


@pytest.mark.parametrize("history", [0, 50])
def test_a_warm_recommend_costs_six_queries_at_most(api, listener, tracks, version, history):
    for track in tracks[:history]:
        make_feedback_row(listener=listener, track=track)
        make_play_count(listener=listener, track=track)
    recommend(api)()  # loads the model, builds the taste, records the exposure
    queries = queries_of(recommend(api))
    assert len(queries) <= 6, "\n".join(queries)


@pytest.mark.parametrize("history", [0, 50])
def test_feedback_costs_the_same_whatever_the_history(api, listener, tracks, version, history):
    for track in tracks[:history]:
        make_feedback_row(listener=listener, track=track)
        make_play_count(listener=listener, track=track)
    slate = recommend(api)().json()
    shown = slate["recommendations"][0]["track_id"]
    plain = queries_of(respond(api, track=shown))
    # Token; taste; the response with the taste that it makes and what it owes.
    assert len(plain) == 3, "\n".join(plain)
    credited = queries_of(respond(api, track=shown, recommendation_id=slate["recommendation_id"]))
    assert len(credited) == 4, "\n".join(credited)
