"""How often a request asks the database, however long the listener's history is."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiToken
from recommendations.services.taste import TOKEN_READ, read_along, read_known
from recommendations.tests.factories import make_feedback_row, make_play_count, make_token

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
def test_a_warm_list_costs_two_queries(api, listener, tracks, version, history):
    for track in tracks[:history]:
        make_feedback_row(listener=listener, track=track)
        make_play_count(listener=listener, track=track)
    recommend(api)()  # loads the model, builds the taste, records the exposure
    queries = queries_of(recommend(api))
    # The token, with all that is known of its listener; the slate with what it owes.
    assert len(queries) == 2, "\n".join(queries)


def test_what_is_known_comes_along_with_a_token_only_where_it_was_asked_for(api, listener, version):
    secret, at = make_token(listener), timezone.now()
    plain = ApiToken.objects.valid_for(secret, at=at)
    assert read_along(plain, plain.user.listener) is None  # nobody asked
    new = ApiToken.objects.valid_for(secret, at=at, read=TOKEN_READ)
    assert read_along(new, new.user.listener) is None  # there is no taste yet
    assert read_along(None, new.user.listener) is None  # as in a browser's session
    recommend(api)()  # builds the taste, records the exposure
    token = ApiToken.objects.valid_for(secret, at=at, read=TOKEN_READ)
    along, alone = read_along(token, token.user.listener), read_known(listener)
    assert along.taste.updated_at == alone.taste.updated_at
    assert bytes(along.taste.history) == bytes(alone.taste.history)
    assert along.standing == alone.standing


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
