"""Signing in as a client does it, by django-allauth: browsers by session, apps by token."""

import re
import time
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.models import ApiToken, Listener, User

pytestmark = pytest.mark.django_db

EMAIL, PASSWORD = "mia@example.com", "a long password"
V1 = "/_allauth/browser/v1/"
APP = "/_allauth/app/v1/"


@pytest.fixture
def listener():
    return services.register(email=EMAIL, password=PASSWORD)


def browser():
    return APIClient()


def sign_in(client=None, prefix=V1, **more):
    client = client or browser()
    return client, client.post(
        f"{prefix}auth/login", {"email": EMAIL, "password": PASSWORD, **more}, format="json"
    )


def code_of(secret):
    counter = int(time.time()) // 30
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def set_up_second_factor(client):
    """Enrol as a client does, and return the secret."""
    client.post(f"{V1}auth/reauthenticate", {"password": PASSWORD}, format="json")
    secret = client.get(f"{V1}account/authenticators/totp").json()["meta"]["secret"]
    answer = client.post(
        f"{V1}account/authenticators/totp", {"code": code_of(secret)}, format="json"
    )
    assert answer.status_code == 200, answer.content
    return secret


def another_code(secret):
    """A code that is valid and was not used: that of the step before."""
    return totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30 - 1))


# -- browsers ----------------------------------------------------------------------------------


def test_signing_up_makes_a_listener_and_logs_in():
    client = browser()
    answer = client.post(
        f"{V1}auth/signup", {"email": EMAIL.upper(), "password": PASSWORD}, format="json"
    )
    assert answer.status_code == 200, answer.content
    listener = Listener.objects.get()
    user = answer.json()["data"]["user"]
    assert (user["id"], user["email"], user["is_staff"]) == (listener.key, EMAIL, False)
    assert client.get("/me").json()["user_id"] == listener.key


@pytest.mark.parametrize("password", ["short", "password123", "73649182736", EMAIL])
def test_a_password_that_is_too_easy_is_refused(password):
    answer = browser().post(
        f"{V1}auth/signup", {"email": EMAIL, "password": password}, format="json"
    )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["param"] == "password"
    assert not User.objects.exists()


def test_a_session_begins_anew_at_login_and_ends_at_logout(listener):
    client = browser()
    client.get("/account/login")
    session = client.session
    session["something"] = 1
    session.save()
    before = session.session_key
    sign_in(client)
    assert client.cookies["session"].value != before
    assert client.get("/me").status_code == 200
    assert client.delete(f"{V1}auth/session").status_code == 401  # as allauth says: nobody now
    assert client.get("/me").status_code in (401, 403)


def test_what_changes_state_needs_the_csrf_token(listener):
    client = APIClient(enforce_csrf_checks=True)
    answer = client.post(f"{V1}auth/login", {"email": EMAIL, "password": PASSWORD}, format="json")
    assert answer.status_code == 403
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(listener.user)
    assert client.patch("/me", {"onboarded": True}).status_code == 403
    client.get(f"{V1}config")
    token = client.cookies["csrf"].value
    answer = client.patch("/me", {"onboarded": True}, headers={"X-CSRFToken": token})
    assert answer.status_code == 200


def test_wrong_passwords_are_limited_with_those_of_other_doors(listener):
    for _ in range(10):
        APIClient().post("/auth/token", {"email": EMAIL, "password": "wrong password"})
    _, answer = sign_in()
    assert answer.status_code == 400
    assert "Too many" in answer.json()["errors"][0]["message"]


def test_a_wrong_password_says_no_more_than_an_unknown_email(listener):
    _, wrong = sign_in(password="wrong password")
    _, unknown = sign_in(email="leo@example.com")
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())


def test_where_mail_must_be_verified_a_taken_email_answers_like_a_free_one(listener, settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    body = {"password": PASSWORD}
    taken = browser().post(f"{V1}auth/signup", {"email": EMAIL, **body}, format="json")
    free = browser().post(f"{V1}auth/signup", {"email": "leo@example.com", **body}, format="json")
    assert taken.status_code == free.status_code == 401
    assert taken.json() == free.json()


def test_sessions_are_listed_and_ended(listener):
    phone, _ = sign_in()
    laptop, _ = sign_in()
    rows = laptop.get(f"{V1}auth/sessions").json()["data"]
    assert len(rows) == 2
    other = next(row["id"] for row in rows if not row["is_current"])
    laptop.delete(f"{V1}auth/sessions", {"sessions": [other]}, format="json")
    assert phone.get("/me").status_code in (401, 403)
    assert laptop.get("/me").status_code == 200


def test_nobody_ends_anothers_session(listener):
    victim, _ = sign_in()
    services.register(email="leo@example.com", password=PASSWORD)
    leo, _ = sign_in(email="leo@example.com")
    session = UserSession.objects.get(user=listener.user)
    leo.delete(f"{V1}auth/sessions", {"sessions": [session.pk]}, format="json")
    assert victim.get("/me").status_code == 200


def test_a_disabled_account_ends_its_sessions_and_tokens(listener):
    client, _ = sign_in()
    User.objects.update(is_active=False)
    assert client.get("/me").status_code in (401, 403)
    assert sign_in()[1].status_code in (400, 401)


def test_changing_the_password_ends_the_other_sessions(listener):
    phone, _ = sign_in()
    laptop, _ = sign_in()
    laptop.post(f"{V1}auth/reauthenticate", {"password": PASSWORD}, format="json")
    new = {"current_password": PASSWORD, "new_password": "another long one"}
    assert laptop.post(f"{V1}account/password/change", new, format="json").status_code == 200
    assert phone.get("/me").status_code in (401, 403)
    assert laptop.get("/me").status_code == 200


@pytest.mark.parametrize(("days", "stays"), [(13, True), (15, False)])
def test_an_idle_session_ends(listener, days, stays):
    client, _ = sign_in()
    client.get("/me")
    _age(days)
    assert (client.get("/me").status_code == 200) is stays


def test_a_session_ends_however_busy_it_is(listener, settings):
    settings.SESSION_LONGEST = timedelta(days=3)
    client, _ = sign_in()
    client.get("/me")
    for alive in (True, True, False):
        _age(1.1)
        assert (client.get("/me").status_code == 200) is alive
    assert not UserSession.objects.exists()


def _age(days):
    """Let time pass for the one session there is."""
    session = Session.objects.get()
    data = session.get_decoded()
    for name in ("began_at", "seen_at"):
        data[name] -= days * 86_400
    session.session_data = Session.objects.encode(data)
    session.save()


def test_staff_are_idle_for_hours_only(listener):
    User.objects.update(is_staff=True)
    client, _ = sign_in()
    client.get("/me")
    _age(0.6)
    assert client.get("/me").status_code in (401, 403)


# -- mail --------------------------------------------------------------------------------------


def link_in(message):
    return re.search(r"https?://testserver(/\S+)", message.body)[1]


def test_an_email_is_verified_by_the_link_in_a_mail():
    client = browser()
    client.post(f"{V1}auth/signup", {"email": EMAIL, "password": PASSWORD}, format="json")
    assert client.get("/me").json()["email_verified"] is False
    page = link_in(mail.outbox[0])
    assert client.get(page).status_code == 200
    assert client.get("/me").json()["email_verified"] is False  # not by GET
    client.post(page)
    assert client.get("/me").json()["email_verified"] is True


def test_a_password_is_reset_by_the_link_in_a_mail(listener):
    answer = browser().post(f"{V1}auth/password/request", {"email": EMAIL}, format="json")
    assert answer.status_code == 200
    page = Client(headers={"accept": "text/html"})
    form = page.get(link_in(mail.outbox[0]), follow=True)
    path = form.redirect_chain[-1][0]
    page.post(path, {"password1": "another long one", "password2": "another long one"})
    _, answer = sign_in(password="another long one")
    assert answer.status_code == 200
    assert sign_in()[1].status_code == 400


def test_asking_to_reset_tells_nobody_who_has_an_account(listener):
    known = browser().post(f"{V1}auth/password/request", {"email": EMAIL}, format="json")
    unknown = browser().post(f"{V1}auth/password/request", {"email": "x@y.org"}, format="json")
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())


def test_an_email_changes_once_the_new_one_is_verified(listener):
    client, _ = sign_in()
    client.post(f"{V1}auth/reauthenticate", {"password": PASSWORD}, format="json")
    answer = client.post(f"{V1}account/email", {"email": "new@example.com"}, format="json")
    assert answer.status_code == 200, answer.content
    assert client.get("/me").json()["email"] == EMAIL
    mail_to_new = next(m for m in mail.outbox if m.to == ["new@example.com"])
    client.post(link_in(mail_to_new))
    assert client.get("/me").json()["email"] == "new@example.com"


def test_a_mail_server_that_is_away_stops_nobody_from_signing_up(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    client = browser()
    answer = client.post(f"{V1}auth/signup", {"email": EMAIL, "password": PASSWORD}, format="json")
    assert answer.status_code == 200


# -- second factor -----------------------------------------------------------------------------


def test_a_second_factor_is_asked_for_at_the_next_login(listener):
    client, _ = sign_in()
    secret = set_up_second_factor(client)
    assert client.get("/me").json()["mfa_enabled"] is True
    again, answer = sign_in()
    assert answer.status_code == 401
    flows = {flow["id"] for flow in answer.json()["data"]["flows"] if flow.get("is_pending")}
    assert flows == {"mfa_authenticate"}
    assert again.get("/me").status_code in (401, 403)
    wrong = again.post(f"{V1}auth/2fa/authenticate", {"code": "000000"}, format="json")
    assert wrong.status_code == 400
    right = again.post(f"{V1}auth/2fa/authenticate", {"code": another_code(secret)}, format="json")
    assert right.status_code == 200, right.content
    assert again.get("/me").status_code == 200


def test_a_recovery_code_works_once(listener):
    client, _ = sign_in()
    set_up_second_factor(client)
    codes = client.get(f"{V1}account/authenticators/recovery-codes").json()["data"]["unused_codes"]
    for expected in (200, 400):
        again, _ = sign_in()
        answer = again.post(f"{V1}auth/2fa/authenticate", {"code": codes[0]}, format="json")
        assert answer.status_code == expected


def test_a_token_for_a_password_alone_is_refused_where_there_is_a_second_factor(listener):
    client, _ = sign_in()
    secret = set_up_second_factor(client)
    body = {"email": EMAIL, "password": PASSWORD}
    assert APIClient().post("/auth/token", body).status_code == 401
    assert APIClient().post("/auth/token", {**body, "code": "000000"}).status_code == 401
    answer = APIClient().post("/auth/token", {**body, "code": another_code(secret)})
    assert answer.status_code == 200
    assert ApiToken.objects.get().second_factor is True


# -- apps --------------------------------------------------------------------------------------


def test_an_app_gets_a_token_that_ends_with_its_session(listener):
    app, answer = sign_in(prefix=APP)
    meta = answer.json()["meta"]
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {meta['access_token']}")
    assert api.get("/me").status_code == 200
    assert [row["name"] for row in api.get("/me/tokens").json()] == ["app"]
    app.delete(f"{APP}auth/session", headers={"X-Session-Token": meta["session_token"]})
    assert api.get("/me").status_code == 401
    assert not ApiToken.objects.exists()


def test_nothing_in_the_database_is_a_token_of_an_app(listener):
    _, answer = sign_in(prefix=APP)
    meta = answer.json()["meta"]
    key = Session.objects.get().session_key
    assert meta["session_token"] != key
    client = APIClient()
    for token, status in ((meta["session_token"], 200), (key, 410), ("x", 410)):
        answer = client.get(f"{APP}auth/session", headers={"X-Session-Token": token})
        assert answer.status_code == status
    assert meta["access_token"].encode() not in bytes(ApiToken.objects.get().digest)


def test_ending_a_session_ends_the_token_it_gave(listener):
    _, answer = sign_in(prefix=APP)
    laptop, _ = sign_in()
    session = UserSession.objects.exclude(session_key=laptop.session.session_key).get()
    laptop.delete(f"{V1}auth/sessions", {"sessions": [session.pk]}, format="json")
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['meta']['access_token']}")
    assert api.get("/me").status_code == 401


def test_tokens_are_named_listed_and_revoked(listener):
    client = APIClient()
    client.force_login(listener.user)
    issued = client.post("/me/tokens", {"name": "my script", "days": 7}).json()
    (row,) = client.get("/me/tokens").json()
    assert row == {name: value for name, value in issued.items() if name != "token"}
    assert (row["name"], row["last_used_at"]) == ("my script", None)
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {issued['token']}")
    assert api.get("/me").status_code == 200
    assert client.get("/me/tokens").json()[0]["last_used_at"] is not None
    assert client.delete(f"/me/tokens/{issued['id']}").status_code == 204
    assert api.get("/me").status_code == 401


def test_a_token_notes_its_use_at_most_once_an_hour(listener):
    token = services.issue_token(user=listener.user, name="x", at=timezone.now())
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    api.get("/me")
    first = ApiToken.objects.get().last_used_at
    api.get("/me")
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=first - timedelta(hours=1))
    api.get("/me")
    assert ApiToken.objects.get().last_used_at > first


def test_a_token_of_another_is_not_there(listener):
    services.issue_token(user=listener.user, name="x", at=timezone.now())
    leo = APIClient()
    leo.force_login(services.register(email="leo@example.com", password=PASSWORD).user)
    assert leo.get("/me/tokens").json() == []
    assert leo.delete(f"/me/tokens/{ApiToken.objects.get().pk}").status_code == 404
    assert APIClient().delete(f"/me/tokens/{ApiToken.objects.get().pk}").status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "x", "days": 0}, "days"),
        ({"name": "x", "days": 366}, "days"),
    ],
)
def test_a_token_out_of_range_names_its_field(listener, body, field):
    client = APIClient()
    client.force_login(listener.user)
    assert field in str(client.post("/me/tokens", body).json())
    assert not ApiToken.objects.exists()


# -- staff -------------------------------------------------------------------------------------


@pytest.fixture
def staff(listener, settings):
    settings.STAFF_MFA = True
    User.objects.update(is_staff=True, is_superuser=True)
    return listener


HTML = {"accept": "text/html"}


def test_staff_who_showed_no_second_factor_in_this_session_are_asked_for_it(staff):
    totp.TOTP.activate(staff.user, "JBSWY3DPEHPK3PXP")
    page = Client(headers=HTML)
    page.force_login(staff.user)
    for path in ("/admin/", "/analytics/contextual-bandits"):
        assert page.get(path).headers["Location"].startswith("/account/second-factor/reauth")
    answer = page.get("/analytics/ab-testing", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_required")


def test_a_token_of_staff_for_a_password_alone_opens_no_report(staff):
    api = APIClient()
    for second_factor, status in ((False, 403), (True, 200)):
        token = services.issue_token(
            user=staff.user, name="x", at=timezone.now(), second_factor=second_factor
        )
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        assert api.get("/analytics/ab-testing").status_code == status
        assert api.get("/me").status_code == 200  # their own listening is not at stake


def test_without_https_a_newcomer_gets_in_by_password(staff, settings):
    settings.STAFF_MFA = False
    page = Client(headers=HTML)
    page.force_login(staff.user)
    assert page.get("/admin/").status_code == 200


def test_a_listener_is_not_asked_for_a_second_factor_but_refused(listener, settings):
    settings.STAFF_MFA = True
    page = Client(headers=HTML)
    page.force_login(listener.user)
    assert page.get("/admin/", follow=True).status_code == 403
    assert not Authenticator.objects.exists()


INLINE = re.compile(r"<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:|<script(?![^>]*\ssrc=)", re.I)


@pytest.mark.parametrize(
    "path",
    [
        "email",
        "password",
        "password/reset",
        "second-factor/",
        "second-factor/totp/activate/",
        "sessions",
        "confirm",
    ],
)
def test_pages_of_signing_in_have_the_house_frame_and_no_script_of_their_own(listener, path):
    page = Client(headers=HTML)
    page.post("/account/login", {"login": EMAIL, "password": PASSWORD})
    page.post("/account/confirm", {"password": PASSWORD})
    answer = page.get(f"/account/{path}")
    html = answer.content.decode()
    assert answer.status_code == 200
    assert 'class="brand"' in html
    assert INLINE.findall(html) == []
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
