"""Every way in leaves a line with the account's number, and none with an e-mail or a password."""

import json
import logging

import pytest
from django.test import Client

from musicrec.logs import scrub_event
from recommendations.tests.factories import make_listener, make_user

PASSWORD = "correct horse battery"


@pytest.fixture
def lines(caplog):
    """Acts of the log with the account of each."""
    caplog.set_level(logging.INFO, logger="accounts.sign_in_log")

    def read():
        events = [record.msg for record in caplog.records if record.name == "accounts.sign_in_log"]
        assert all(scrub_event(None, "info", event) == event for event in events)
        assert "example.com" not in json.dumps(events)
        assert PASSWORD not in json.dumps(events)
        return [(event["event"], event["account"]) for event in events]

    return read


@pytest.fixture
def user():
    user = make_user(password=PASSWORD)
    make_listener(user=user)
    return user


def log_in(client, email, password):
    return client.post("/account/login", {"login": email, "password": password})


@pytest.mark.django_db
def test_coming_in_by_the_page_and_leaving(lines, user):
    client = Client()
    assert log_in(client, user.email, PASSWORD).status_code == 302
    client.post("/account/logout")
    assert lines() == [("signed_in", user.pk), ("signed_out", user.pk)]


@pytest.mark.django_db
def test_a_wrong_password_and_an_unknown_account(lines, user):
    log_in(Client(), user.email, "wrong")
    log_in(Client(), "nobody@example.com", "wrong")
    assert lines() == [("sign_in_refused", user.pk), ("sign_in_refused", None)]


@pytest.mark.django_db
def test_coming_in_by_the_api(lines, user):
    body = {"email": user.email, "password": PASSWORD}
    assert Client().post("/auth/token", body, content_type="application/json").status_code == 200
    body["password"] = "wrong"
    assert Client().post("/auth/token", body, content_type="application/json").status_code == 401
    assert lines() == [("token_issued", user.pk), ("sign_in_refused", user.pk)]


@pytest.mark.django_db
def test_a_right_password_for_an_address_that_is_not_verified(lines, user, settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    body = {"email": user.email, "password": PASSWORD}
    assert Client().post("/auth/token", body, content_type="application/json").status_code == 403
    assert lines() == [("unverified_refused", user.pk)]


@pytest.mark.django_db
def test_trying_too_often(lines, user):
    for _ in range(11):
        body = {"email": user.email, "password": "wrong"}
        Client().post("/auth/token", body, content_type="application/json")
    assert lines()[-1] == ("tried_too_often", user.pk)


@pytest.mark.django_db
def test_changing_the_password(lines, user):
    client = Client()
    client.force_login(user)
    client.post(
        "/account/password",
        {"oldpassword": PASSWORD, "password1": PASSWORD + " 2", "password2": PASSWORD + " 2"},
    )
    assert ("password_changed", user.pk) in lines()
