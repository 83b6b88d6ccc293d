from unittest import mock

import pytest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("accept", "kind"), [("*/*", "application/problem+json"), ("text/html", "text/html")]
)
def test_an_unknown_address_is_answered_in_the_callers_form(client, accept, kind):
    response = client.get("/no/such/address", headers={"accept": accept})
    assert response.status_code == 404
    assert response.headers["content-type"].startswith(kind)


@pytest.mark.parametrize(
    ("accept", "kind"), [("*/*", "application/problem+json"), ("text/html", "text/html")]
)
def test_a_fault_of_ours_is_answered_in_the_callers_form_and_tells_nothing(client, accept, kind):
    client.raise_request_exception = False
    # A fault that no input should bring about has to be planted.
    with mock.patch("recommendations.views.home._cached_status", side_effect=KeyError("a secret")):
        response = client.get("/", headers={"accept": accept})
    assert response.status_code == 500
    assert response.headers["content-type"].startswith(kind)
    assert "secret" not in response.content.decode()


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_refusal_is_json_whatever_the_answer_would_have_been(client, form):
    response = client.get("/analytics/ab-testing", {"format": form})
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
