"""Everything about a person can be had, and goes when they say so; no model is forgotten."""

import json

import numpy as np
import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts
from accounts.models import ApiToken, Listener, User
from bandits.models import Decision
from bandits.tests.factories import make_decision
from experiments.models import Exposure
from recommendations.models import Feedback, HistoryImport, Recommendation, TrackHeat
from recommendations.services import personal_data, undo
from recommendations.services.effects import drain_outbox
from recommendations.services.personal_data import NOT_EXPORTED, OF_LISTENERS, OF_USERS
from recommendations.tests.factories import make_feedback, make_play_count

pytestmark = pytest.mark.django_db

EMAIL, PASSWORD = "mia.unmistakable@example.com", "a long password"
SECTIONS = (*OF_USERS, *OF_LISTENERS)


def models_about_a_person():
    """Every model with a relation to a person, or to rows that are a person's."""
    about = {User, Listener}
    declared = {section.model for section in SECTIONS}
    models = apps.get_models(include_auto_created=True)
    while True:
        more = {
            model
            for model in models
            if model not in about
            and any(
                field.many_to_one or field.one_to_one
                for field in model._meta.get_fields()
                if field.concrete and field.related_model in about & (declared | {User, Listener})
            )
        }
        if not more:
            return about
        about |= more


def test_every_model_that_refers_to_a_person_is_exported_or_says_why_not():
    """A new model with a relation to a person fails here until it is listed."""
    declared = {section.model._meta.label for section in SECTIONS} | set(NOT_EXPORTED)
    assert {model._meta.label for model in models_about_a_person()} - declared == set()


def test_no_model_is_both_exported_and_not():
    assert {section.model._meta.label for section in SECTIONS}.isdisjoint(NOT_EXPORTED)


@pytest.fixture
def mia(tracks):
    """A listener who has used everything there is."""
    listener = accounts.register(email=EMAIL, password=PASSWORD)
    user = listener.user
    browser = Client()
    browser.force_login(user)
    UserSession.objects.create(
        user=user, session_key=browser.session.session_key, ip="203.0.113.7", user_agent="Browser"
    )
    TOTP.activate(user, "SECRETSECRETSECRET")
    token = accounts.issue_token(user=user, name="phone", at=timezone.now())
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    api.post("/preferences/set", {"genres": ["jazz"], "energy": 0.4})
    asked = {"mood": "happy", "exclude": ["t1"]}
    slate = api.post("/recommend", asked, headers={"idempotency-key": EMAIL}).json()
    first, second = (item["track_id"] for item in slate["recommendations"][:2])
    answer = {"recommendation_id": slate["recommendation_id"], "kind": "like"}
    api.post("/feedback", {"track_id": first, "event_id": f"of {EMAIL}", **answer})
    api.post("/feedback", {"track_id": second, **answer})
    api.post("/me/hidden", {"track_id": first})
    undo.retract(make_feedback(listener=listener, track=tracks[5]), at=timezone.now())
    make_play_count(listener=listener, track=tracks[6])
    make_decision(np.random.default_rng(0), listener=listener)
    HistoryImport.objects.create(listener=listener, file_name="mine.zip", content=b"x")
    drain_outbox(at=timezone.now())
    return listener, api, browser


def exported(api):
    answer = api.get("/me/export")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["Content-Disposition"]
    assert "no-store" in answer.headers["Cache-Control"]
    return json.loads(b"".join(answer.streaming_content))


def test_an_export_holds_every_section_with_all_of_its_rows(mia):
    listener, api, _ = mia
    data = exported(api)
    assert set(data) == {"exported_at", *(section.name for section in SECTIONS)}
    for section in SECTIONS:
        person = listener.user if section in OF_USERS else listener
        rows = section.model._default_manager.filter(**{section.path: person.pk}).count()
        assert len(data[section.name]) == rows, section.name
        if section.name not in ("admin_log", "experiment_values"):
            assert rows, f"the test says nothing of {section.name}"
    assert data["account"][0]["email"] == EMAIL
    assert {row["track__name"] for row in data["feedback"]} >= {"Song 5"}
    assert sum(row["retraction__retracted_at"] is not None for row in data["feedback"]) == 1
    assert data["recommendations"][0]["tracks"][0].startswith("t")


def test_an_export_holds_no_secret(mia):
    listener, api, _ = mia
    text = json.dumps(exported(api))
    assert listener.user.password not in text
    assert Session.objects.get().session_key not in text
    assert "SECRETSECRET" not in text
    assert bytes(ApiToken.objects.get().digest).hex() not in text


def test_an_export_is_ones_own(mia, api):
    text = json.dumps(exported(api))
    assert EMAIL not in text
    assert APIClient().get("/me/export").status_code == 401


def everything_as_text(needle):
    """Tables with a row that holds `needle`; the audit log may name whom staff looked at."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(
                f'SELECT count(*) FROM "{table}" t WHERE t::text ILIKE %s',  # noqa: S608
                [f"%{needle}%"],
            )
            if cursor.fetchone()[0] and table != "recommendations_auditentry":
                found.append(table)
    return found


def test_erasing_leaves_the_ledger_and_no_trace_of_the_person(mia):
    listener, api, browser = mia
    user = listener.user
    kept = {
        model: model.objects.count() for model in (Feedback, Recommendation, Decision, Exposure)
    }
    heat = list(TrackHeat.objects.order_by("pk").values_list("pk", "heat"))
    keys = {User: user.pk, Listener: listener.pk}
    assert len(everything_as_text(EMAIL)) > 2  # the scan finds what is there
    assert api.delete("/me", {"password": PASSWORD}).status_code == 204
    for model in models_about_a_person():
        for field in model._meta.get_fields():
            if field.concrete and field.related_model in keys:
                rows = model._base_manager.filter(**{field.name: keys[field.related_model]})
                assert not rows.exists(), f"{model._meta.label}.{field.name}"
    assert everything_as_text(EMAIL) == []
    assert everything_as_text(listener.uuid) == []
    assert {model: model.objects.count() for model in kept} == kept
    assert list(TrackHeat.objects.order_by("pk").values_list("pk", "heat")) == heat
    assert "exclude" not in Recommendation.objects.get().context
    assert Recommendation.objects.get().context["mood"] == "happy"
    assert not Session.objects.exists()
    assert not EmailAddress.objects.exists()
    assert not Authenticator.objects.exists()
    assert api.get("/me").status_code == 401
    assert browser.get("/me").status_code in (401, 403)


def test_effects_of_somebody_erased_before_they_came_do_no_harm(mia):
    listener, _, _ = mia
    make_feedback(listener=listener)
    personal_data.erase(listener)
    drain_outbox(at=timezone.now())


def test_erasing_needs_the_password_and_tries_are_limited(mia):
    _, api, _ = mia
    assert api.delete("/me", {}).status_code == 400
    for _ in range(10):
        assert api.delete("/me", {"password": "wrong password"}).status_code == 400
    assert api.delete("/me", {"password": PASSWORD}).status_code == 400
    assert User.objects.filter(email=EMAIL).exists()


def test_staff_do_not_erase_themselves(mia):
    listener, api, _ = mia
    User.objects.update(is_staff=True)
    answer = api.delete("/me", {"password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (409, "staff_account")
    assert Listener.objects.filter(pk=listener.pk).exists()


@pytest.mark.parametrize("of_user", [True, False])
def test_of_two_who_erase_a_listener_at_once_the_second_finds_nothing_to_do(tracks, of_user):
    if of_user:
        listener = accounts.register(email=EMAIL, password=PASSWORD)
    else:
        listener = Listener.objects.create(external_id="customer-unmistakable")
    second = Listener.objects.get(pk=listener.pk)  # read before the first is done
    make_feedback(listener=listener, track=tracks[0])
    personal_data.erase(listener)
    personal_data.erase(second)
    assert not Listener.objects.exists()


def test_a_listener_without_an_account_is_erased_alike(tracks):
    listener = Listener.objects.create(external_id="customer-unmistakable")
    row = make_feedback(listener=listener, track=tracks[0])
    personal_data.erase(listener)
    row.refresh_from_db()
    assert row.listener is None
    assert everything_as_text("customer-unmistakable") == []
