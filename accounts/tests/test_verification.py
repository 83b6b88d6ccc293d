"""Where mail must be verified the API lets nobody in before, and tells nobody of an account."""

import pytest
from rest_framework.test import APIClient

from accounts import services
from accounts.models import ApiToken, User
from accounts.tests.test_headless import EMAIL, PASSWORD, V1, link_in, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def mandatory(settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"


def register(email=EMAIL, password=PASSWORD):
    return APIClient().post("/auth/register", {"email": email, "password": password})


def log_in(email=EMAIL, password=PASSWORD):
    return APIClient().post("/auth/token", {"email": email, "password": password})


def said(answer):
    return answer.status_code, {**answer.json(), "request_id": ""}, sorted(answer.headers)


def test_no_token_is_given_before_the_link_in_the_mail_was_followed(mailoutbox):
    for answer in (register(), log_in()):
        assert (answer.status_code, answer.json()["code"]) == (403, "email_unverified")
    assert not ApiToken.objects.exists()
    assert sign_in()[1].status_code == 401
    (sent,) = mailoutbox  # the other doors send no second one at once
    APIClient().post(link_in(sent))
    answer = log_in()
    assert answer.status_code == 200
    assert answer.json()["user_id"] == User.objects.get().listener.key


def test_a_taken_address_is_answered_like_a_free_one(mailoutbox):
    services.register(email=EMAIL, password=PASSWORD)
    assert said(register(EMAIL.upper(), "another password")) == said(register("leo@example.com"))
    taken, free = mailoutbox
    assert (taken.to, free.to) == ([EMAIL], ["leo@example.com"])
    assert "already exists" in taken.body
    assert User.objects.get(email=EMAIL).check_password(PASSWORD)
    bad = [register(email, "short") for email in (EMAIL, "mia@example.org")]
    assert said(bad[0]) == said(bad[1])


def test_logging_in_asks_for_the_link_again_where_there_was_no_mail(mailoutbox):
    User.objects.create_superuser(EMAIL, PASSWORD)  # who came by no door of allauth's
    assert log_in(password="wrong password").status_code == 401
    assert mailoutbox == []
    assert log_in().json()["code"] == "email_unverified"
    APIClient().post(link_in(mailoutbox[0]))
    assert log_in().status_code == 200


def test_a_session_gives_no_token_either(mailoutbox):
    client = APIClient()
    client.post(f"{V1}auth/signup", {"email": EMAIL, "password": PASSWORD}, format="json")
    assert client.post("/me/tokens", {"name": "x"}).status_code in (401, 403)
