"""The account pages, as a browser uses them; and what holds for every page."""

import re

import pytest
from django.test import Client

from accounts import services
from accounts.models import Preferences, User

pytestmark = pytest.mark.django_db

EMAIL, PASSWORD = "mia@example.com", "a long password"
BROWSER = {"accept": "text/html"}

INLINE = re.compile(r"<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:|<script(?![^>]*\ssrc=)", re.I)


@pytest.fixture
def listener():
    return services.register(email=EMAIL, password=PASSWORD)


@pytest.fixture
def browser(listener):
    client = Client(headers=BROWSER)
    client.force_login(listener.user)
    return client


@pytest.mark.parametrize("path", ["/", "/account/", "/account/login", "/account/register", "/none"])
@pytest.mark.parametrize("logged_in", [False, True])
def test_no_page_has_script_or_style_of_its_own(browser, path, logged_in):
    client = browser if logged_in else Client(headers=BROWSER)
    answer = client.get(path, follow=True)
    page = answer.content.decode()
    assert "</html>" in page
    assert INLINE.findall(page) == []
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_signing_up_logs_in_and_shows_the_account():
    client = Client(headers=BROWSER)
    answer = client.post("/account/register", {"email": EMAIL, "password1": PASSWORD})
    assert answer.headers["Location"] == "/app/"
    assert EMAIL in client.get("/account/").content.decode()
    assert User.objects.get().listener


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        (EMAIL, "3 g6!", "too short"),
        (EMAIL, "password123", "too common"),
        ("no address", PASSWORD, "valid email address"),
        ("a@" + ".".join(["İ" * 60] * 4) + ".com", PASSWORD, "longer than 254"),
    ],
)
def test_a_form_that_is_wrong_comes_back_with_the_reason(email, password, said):
    answer = Client().post("/account/register", {"email": email, "password1": password})
    page = answer.content.decode()
    assert said in page
    assert password not in page
    assert not User.objects.exists()


def test_an_email_that_is_taken_is_said_at_its_field(listener):
    answer = Client().post("/account/register", {"email": EMAIL, "password1": PASSWORD})
    assert "already has an account" in answer.content.decode()


def test_logging_in_and_out(listener):
    client = Client(headers=BROWSER)
    answer = client.post("/account/login", {"login": EMAIL, "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/app/")
    assert client.get("/account/").status_code == 200
    assert client.get("/account/logout").status_code == 405  # a link must not log out
    client.post("/account/logout")
    assert client.get("/account/").headers["Location"].startswith("/account/login")


def test_logging_in_leads_to_no_other_site(listener):
    answer = Client().post(
        "/account/login?next=https://evil.example/", {"login": EMAIL, "password": PASSWORD}
    )
    assert answer.headers["Location"] == "/app/"


def test_the_admin_logs_in_on_the_same_page(client):
    answer = client.get("/admin/", follow=True)
    assert "accounts/login.html" in [template.name for template in answer.templates]


def test_ten_wrong_passwords_at_the_admins_login_shut_it_to_the_right_one(one_minute):
    User.objects.create_superuser(EMAIL, PASSWORD)
    User.objects.create_superuser("leo@example.com", PASSWORD)

    def log_in(email, password, n):
        client = Client(headers=BROWSER, REMOTE_ADDR=f"203.0.113.{n}")
        answer = client.post("/admin/login/?next=/admin/", {"login": email, "password": password})
        return answer, client.get("/admin/").status_code

    for n in range(10):
        answer, inside = log_in(EMAIL, "a wrong password", n)
        assert re.search("password is wrong|Too many tries", answer.content.decode())
        assert inside == 302  # to the login
    answer, inside = log_in(EMAIL, PASSWORD, 10)
    assert "Too many tries" in answer.content.decode()
    assert inside == 302
    answer, inside = log_in("leo@example.com", PASSWORD, 0)  # whose account was not tried
    assert (answer.headers["Location"], inside) == ("/admin/", 200)


def test_the_account_page_shows_and_sets_preferences(browser, listener):
    sent = {"genres": "Jazz, soul,jazz", "energy": "0.7", "mood": "calm"}
    assert browser.post("/account/", sent).status_code == 302
    row = Preferences.objects.get()
    assert (row.genres, row.energy, row.mood) == (["jazz", "soul"], 0.7, "calm")
    page = browser.get("/account/").content.decode()
    assert 'value="jazz, soul"' in page
    assert 'value="0.7"' in page


def test_cleared_preferences_are_cleared(browser, listener):
    services.set_preferences(listener=listener, genres=["jazz"], energy=0.7, mood="calm")
    browser.post("/account/", {"genres": "", "energy": "", "mood": ""})
    row = Preferences.objects.get()
    assert (row.genres, row.energy, row.mood) == ([], None, "")


@pytest.mark.parametrize(
    "sent",
    [{"energy": "2"}, {"energy": "nan"}, {"mood": "bored"}, {"genres": "g" * 101}],
)
def test_wrong_preferences_come_back_and_change_nothing(browser, sent):
    assert (
        browser.post("/account/", {"genres": "", "energy": "", "mood": "", **sent}).status_code
        == 400
    )
    assert not Preferences.objects.exists()


def test_forms_need_their_token(listener):
    client = Client(enforce_csrf_checks=True)
    client.force_login(listener.user)
    for path in ("/account/", "/account/logout"):
        assert client.post(path, {}).status_code == 403


def test_what_a_listener_typed_is_shown_as_text(browser):
    browser.post("/account/", {"genres": '"><script>alert(1)</script>', "energy": "", "mood": ""})
    page = browser.get("/account/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
