"""Registering, logging in and out, preferences, as a client does them."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.models import ApiToken, Listener, Preferences, User

pytestmark = pytest.mark.django_db

EMAIL, PASSWORD = "mia@example.com", "a long password"


@pytest.fixture
def listener():
    return services.register(email=EMAIL, password=PASSWORD)


def client_with(token):
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return api


def log_in(email=EMAIL, password=PASSWORD):
    return APIClient().post("/auth/token", {"email": email, "password": password})


def set_preferences(token, **preferences):
    return client_with(token).post("/preferences/set", preferences)


def test_registering_answers_an_id_and_a_token_that_works():
    answer = APIClient().post("/auth/register", {"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 201
    assert answer.json()["user_id"] == Listener.objects.get().key
    assert set_preferences(answer.json()["token"], energy=0.5).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "no address", "password": PASSWORD}, "email"),
        ({"email": "a@" + "b" * 250 + ".com", "password": PASSWORD}, "email"),
        ({"email": EMAIL}, "password"),
        ({"email": EMAIL, "password": "short"}, "password"),
        ({"email": EMAIL, "password": "password123"}, "password"),
        ({"email": EMAIL, "password": "73649182736"}, "password"),
        ({"email": EMAIL, "password": EMAIL}, "password"),
        ({"email": EMAIL, "password": "x" * 129}, "password"),
    ],
)
def test_a_bad_registration_names_its_field(body, field):
    answer = APIClient().post("/auth/register", body)
    assert answer.status_code == 400
    assert field in answer.json()["errors"]
    assert not User.objects.exists()


def test_an_email_that_grows_in_lower_case_is_no_error_of_ours():
    label = "İ" * 60
    email = f"a@{label}.{label}.{label}.{label}.com"
    answer = APIClient().post("/auth/register", {"email": email, "password": PASSWORD})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["email"]


def test_an_email_that_is_taken_is_a_conflict(listener):
    answer = APIClient().post("/auth/register", {"email": EMAIL.upper(), "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")


def test_logging_in_gives_a_token_and_logging_out_ends_it(listener):
    answer = log_in(email=EMAIL.title())
    assert answer.status_code == 200
    assert answer.json()["user_id"] == listener.key
    api = client_with(answer.json()["token"])
    assert api.delete("/auth/token").status_code == 204
    assert api.post("/preferences/set", {}).status_code == 401


def test_logging_out_leaves_the_other_tokens_alone(listener):
    phone, laptop = (log_in().json()["token"] for _ in range(2))
    client_with(phone).delete("/auth/token")
    assert set_preferences(laptop, energy=0.5).status_code == 200


def test_a_token_ends_with_its_time_and_with_its_user(listener):
    token = log_in().json()["token"]
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert set_preferences(token).status_code == 401
    token = log_in().json()["token"]
    User.objects.update(is_active=False)
    assert set_preferences(token).status_code == 401


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Bearer é", "Bearer a b", "Basic eDp4"])
def test_a_token_that_is_none_is_refused(header):
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=header)
    assert api.post("/preferences/set", {}).status_code == 401


def test_a_wrong_password_says_no_more_than_an_unknown_email(listener):
    wrong, unknown = log_in(password="wrong password"), log_in(email="leo@example.com")
    said = [{**answer.json(), "request_id": ""} for answer in (wrong, unknown)]
    assert said[0] == said[1]
    assert wrong.status_code == unknown.status_code == 401


def test_after_ten_tries_the_right_password_is_refused_too(listener):
    for _ in range(10):
        assert log_in(password="wrong password").status_code == 401
    assert log_in().status_code == 401


def test_many_accounts_from_one_address_are_limited(listener, one_minute):
    codes = [log_in(email=f"{n}@example.com").status_code for n in range(25)]
    assert codes[:20] == [401] * 20
    assert set(codes[20:]) == {429}


def test_an_address_that_a_client_makes_up_gives_no_more_tries(listener, one_minute):
    codes = [
        APIClient()
        .post(
            "/auth/token",
            {"email": f"{n}@example.com", "password": PASSWORD},
            headers={"X-Forwarded-For": f"203.0.113.{n}"},
        )
        .status_code
        for n in range(25)
    ]
    assert set(codes[20:]) == {429}


def test_tries_on_the_page_count_with_those_of_clients(listener, client):
    for _ in range(10):
        log_in(password="wrong password")
    answer = client.post("/account/login", {"login": EMAIL, "password": PASSWORD})
    assert answer.status_code == 200
    assert "Too many tries" in answer.content.decode()


def test_preferences_left_out_stay_as_they_are(listener):
    token = log_in().json()["token"]
    set_preferences(token, genres=["Pop", "ROCK", "pop"], energy=0.7, mood="energetic")
    answer = set_preferences(token, mood="calm")
    assert answer.json() == {
        "genres": ["pop", "rock"],
        "artists": [],
        "energy": 0.7,
        "mood": "calm",
    }
    row = Preferences.objects.get()
    assert (row.genres, row.energy, row.mood) == (["pop", "rock"], 0.7, "calm")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"genres": "pop"}, "genres"),
        ({"genres": {"pop": 1}}, "genres"),
        ({"genres": [["pop"]]}, "genres"),
        ({"genres": [""]}, "genres"),
        ({"genres": ["g" * 101]}, "genres"),
        ({"genres": ["İ" * 100]}, "genres"),  # two characters each in lower case
        ({"genres": ["g"] * 51}, "genres"),
        ({"artists": ["a"] * 101}, "artists"),
        ({"energy": 1.01}, "energy"),
        ({"energy": -0.01}, "energy"),
        ({"energy": "high"}, "energy"),
        ({"energy": "nan"}, "energy"),
        ({"energy": [0.5]}, "energy"),
        ({"energy": True}, "energy"),
        ({"mood": "bored"}, "mood"),
        ({"mood": ["happy"]}, "mood"),
        ({"mood": None}, "mood"),
    ],
)
def test_a_preference_out_of_range_names_its_field(listener, body, field):
    answer = set_preferences(log_in().json()["token"], **body)
    assert answer.status_code == 400
    assert {name.split(".")[0] for name in answer.json()["errors"]} == {field}
    assert not Preferences.objects.exists()


def test_energy_can_be_taken_back(listener):
    token = log_in().json()["token"]
    set_preferences(token, energy=0.7, genres=["pop"])
    answer = set_preferences(token, energy=None)
    assert (answer.json()["energy"], answer.json()["genres"]) == (None, ["pop"])
