"""What a password gave to others ends with it, by whatever door it is changed."""

import pytest
from allauth.account.adapter import get_adapter
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from rest_framework.test import APIClient

from accounts import services
from accounts.models import ApiToken, ServiceAccount, User
from accounts.tests.test_headless import APP, EMAIL, HTML, PASSWORD, V1, link_in, sign_in

pytestmark = pytest.mark.django_db

NEW = "another long one"


@pytest.fixture
def listener():
    return services.register(email=EMAIL, password=PASSWORD)


def status_of(secret, path="/me"):
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {secret}").get(path).status_code


def change_as_a_browser(user, mailbox):
    browser, _ = sign_in()
    browser.post(f"{V1}auth/reauthenticate", {"password": PASSWORD}, format="json")
    sent = {"current_password": PASSWORD, "new_password": NEW}
    assert browser.post(f"{V1}account/password/change", sent, format="json").status_code == 200
    assert browser.get("/me").status_code == 200


def change_on_the_page(user, mailbox):
    page = Client(headers=HTML)
    page.post("/account/login", {"login": EMAIL, "password": PASSWORD})
    sent = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    answer = page.post("/account/password", sent, follow=True)
    assert "every token of an app has ended" in answer.content.decode()


def reset_by_mail(user, mailbox):
    APIClient().post(f"{V1}auth/password/request", {"email": EMAIL}, format="json")
    page = Client(headers=HTML)
    form = page.get(link_in(mailbox[-1]), follow=True)
    page.post(form.redirect_chain[-1][0], {"password1": NEW, "password2": NEW})


def reset_by_staff(user, mailbox):
    page = Client(headers=HTML)
    page.force_login(User.objects.create_superuser("staff@example.com", PASSWORD))
    sent = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert page.post(f"/admin/accounts/user/{user.pk}/password/", sent).status_code == 302


@pytest.mark.parametrize(
    "change", [change_as_a_browser, change_on_the_page, reset_by_mail, reset_by_staff]
)
def test_a_new_password_ends_every_token_that_the_old_one_gave(listener, mailoutbox, change):
    _, signed_in = sign_in(prefix=APP)
    app = signed_in.json()["meta"]
    stolen = APIClient().post("/auth/token", {"email": EMAIL, "password": PASSWORD}).json()
    bearer = APIClient(HTTP_AUTHORIZATION=f"Bearer {stolen['token']}")
    minted = bearer.post("/me/tokens", {"name": "for later", "days": 365}).json()
    secrets = (app["access_token"], stolen["token"], minted["token"])
    assert [status_of(secret) for secret in secrets] == [200] * 3
    change(listener.user, mailoutbox)
    assert [status_of(secret) for secret in secrets] == [401] * 3
    assert not ApiToken.objects.of(listener.user).exists()
    session = APIClient().get(
        f"{APP}auth/session", headers={"X-Session-Token": app["session_token"]}
    )
    assert session.status_code in (401, 410)
    again = APIClient().post("/auth/token", {"email": EMAIL, "password": NEW})
    assert status_of(again.json()["token"]) == 200


def test_a_new_password_ends_no_token_of_others_and_no_key(listener, mailoutbox):
    services.register(email="leo@example.com", password=PASSWORD)
    leo = APIClient().post("/auth/token", {"email": "leo@example.com", "password": PASSWORD})
    service = ServiceAccount.objects.create(name="radio")
    now = ApiToken.objects.get().created_at
    _, key = services.issue_service_key(service=service, scopes=["read"], at=now)
    change_as_a_browser(listener.user, mailoutbox)
    assert status_of(leo.json()["token"]) == 200
    assert status_of(key, "/listeners/mia") == 404  # it may look


def test_where_the_tokens_cannot_be_ended_the_password_stays(listener, monkeypatch, rf):
    def fail(**_):
        raise RuntimeError

    monkeypatch.setattr(services, "revoke_tokens", fail)
    request = rf.post("/")
    request.user = AnonymousUser()
    with pytest.raises(RuntimeError):
        get_adapter(request).set_password(listener.user, NEW)
    assert User.objects.get(pk=listener.user.pk).check_password(PASSWORD)
