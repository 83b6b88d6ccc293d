"""Services, their keys and what these let them do."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from accounts.models import Listener, ServiceAccount, ServiceKey
from accounts.services import issue_service_key, revoke_service_key
from recommendations.tests.factories import make_service, make_track, service_client

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def run(*arguments):
    out, err = StringIO(), StringIO()
    call_command("service_account", *arguments, stdout=out, stderr=err)
    return out.getvalue().strip()


def get(secret, path="/listeners/mia"):
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {secret}").get(path)


def test_a_key_is_shown_once_and_kept_as_its_hash():
    secret = run("create", "radio", "--scopes", "read")
    assert secret.startswith("ms_")
    key = ServiceKey.objects.get()
    assert bytes(key.digest) == ServiceKey.digest_of(secret)
    assert secret not in run("list")
    assert get(secret).status_code == 404  # it may look, and there is no such listener
    key.refresh_from_db()
    assert key.last_used_at is not None


def test_a_key_ends_when_revoked_expired_or_switched_off():
    service = make_service("radio")
    key, secret = issue_service_key(service=service, scopes=["read"], at=datetime.now(UTC))
    assert revoke_service_key(key=key, at=NOW)
    assert not revoke_service_key(key=key, at=NOW)
    assert get(secret).status_code == 401
    _, old = issue_service_key(
        service=service, scopes=["read"], at=NOW, expires_at=NOW + timedelta(days=1)
    )
    assert get(old).status_code == 401
    live = run("create", "radio", "--days", "1")
    assert get(live).status_code == 404
    run("disable", "radio")
    assert get(live).status_code == 401


@pytest.mark.parametrize("secret", ["ms_", "ms_" + "x" * 43, "ms_é", "ms_a b"])
def test_what_is_no_key_opens_nothing(secret):
    answer = APIClient().get("/listeners/mia", HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "arguments",
    [("create", "a name"), ("create", "radio", "--days", "0"), ("revoke", "7"),
     ("disable", "nobody")],
)  # fmt: skip
def test_a_command_that_makes_no_sense_says_so(arguments):
    with pytest.raises(CommandError):
        run(*arguments)
    assert not ServiceAccount.objects.exists()


def test_two_services_and_nobody_may_use_one_external_id():
    one, other = make_service("one"), make_service("other")
    for service in (one, other, None):
        Listener.objects.create(external_id="7", service=service)
    for service in (one, None):
        with pytest.raises(IntegrityError), transaction.atomic():
            Listener.objects.create(external_id="7", service=service)


def test_a_service_reaches_its_own_listener_alone():
    make_track(track_id="a")
    one, other = service_client("one"), service_client("other")
    assert one.put("/listeners/7", {"country": "SE"}).status_code == 200
    assert other.get("/listeners/7").status_code == 404
    assert other.delete("/listeners/7").status_code == 404
    assert other.post("/recommend", {"user_id": "7"}).status_code == 404
    uuid = str(Listener.objects.get().uuid)
    assert one.get(f"/listeners/{uuid}").status_code == 404  # external ids are its only names
    assert other.put("/listeners/7", {"country": "NO"}).status_code == 200
    assert one.get("/listeners/7").json()["country"] == "SE"


def test_a_scope_opens_what_it_names_and_no_more():
    reader = service_client("radio", scopes=["read"])
    refused = reader.put("/listeners/7", {})
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert reader.post("/recommend", {"user_id": "7"}).status_code == 403
    refused = reader.get("/me")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_for_services")
    assert reader.get("/analytics/contextual-bandits").status_code == 403
    reports = service_client("radio", scopes=["analytics"])
    assert reports.get("/analytics/contextual-bandits").status_code == 200


def test_a_service_must_name_its_listener():
    answer = service_client("radio").post("/recommend", {})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["user_id"]


def test_the_admin_shows_a_new_key_once_and_can_only_revoke_it(admin_client):
    service = make_service("radio")
    add = "/admin/accounts/servicekey/add/"
    page = admin_client.post(
        add, {"service": service.pk, "name": "web", "scopes": ["read", "write"]}, follow=True
    )
    text = page.content.decode()
    secret = text[text.index("ms_") :][:46]
    assert get(secret).status_code == 404
    assert "ms_" not in admin_client.get("/admin/accounts/servicekey/").content.decode()
    key = ServiceKey.objects.get()
    admin_client.post(
        "/admin/accounts/servicekey/", {"action": "revoke", "_selected_action": [key.pk]}
    )
    assert get(secret).status_code == 401
    assert admin_client.post(f"/admin/accounts/servicekey/{key.pk}/delete/").status_code == 403
