"""The console's pages: who may see and do what, how many queries each costs, both faces."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts.models import User
from musicrec.overview import overview
from recommendations.models import AuditEntry, Heartbeat, OutboxEvent, ServingState, TrainingRun
from recommendations.reports.definitions import DEFINITIONS
from recommendations.roles import ABILITIES, ADMINISTRATOR, EXPERIMENTER, OPERATOR, ROLES, VIEWER
from recommendations.services import effects, heartbeats, measuring, rollups
from recommendations.services import feedback as responses
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
from recommendations.tests.conftest import *  # noqa: F403 (the small world's fixtures)
from recommendations.tests.factories import make_listener, make_version

pytestmark = pytest.mark.django_db
PAGE = {"accept": "text/html"}
HTML = {"HTTP_ACCEPT": "text/html"}
MOST_QUERIES = 15


def staff(*roles, **fields):
    user = User.objects.create_user(f"{'-'.join(roles) or 'nobody'}@example.com", is_staff=True)
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def browser(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def system(version, tracks):
    """A system at work: lists, responses, effects, counts, measurements."""
    now = timezone.now()
    listener = make_listener(genres=["genre 0"], external_id="mia")
    slate = recommend(listener=listener, wishes=Wishes(n=5), at=now).recommendation
    for track in tracks[:3]:
        responses.record_feedback(listener=listener, track=track, kind="rating", rating=4, at=now)
    effects.drain_outbox(at=now)
    rollups.count_days(at=now)
    measuring.measure_all(at=now, slow_too=True)
    heartbeats.beat("worker a:1", kind=Heartbeat.Kind.WORKER, at=now)
    heartbeats.beat("schedule", kind=Heartbeat.Kind.BEAT, at=now)
    return {"listener": listener, "slate": slate, "version": version}


def pages_of(system):
    version = system["version"].pk
    return {
        "/analytics": VIEWER,
        "/analytics/system-metrics": VIEWER,
        "/analytics/definitions": VIEWER,
        "/analytics/search?q=mia": VIEWER,
        "/analytics/models": VIEWER,
        "/analytics/catalogue": VIEWER,
        "/analytics/catalogue?show=unseen": VIEWER,
        "/analytics/catalogue?show=bare&q=song": VIEWER,
        "/analytics/dead-letters": VIEWER,
        "/analytics/listeners": EXPERIMENTER,
        f"/analytics/listeners/{system['listener'].uuid}": EXPERIMENTER,
        f"/analytics/slates/{system['slate'].pk}": EXPERIMENTER,
        f"/analytics/slates/{system['slate'].pk}?what_if=trending": EXPERIMENTER,
        f"/analytics/models/compare?first={version}&second={version}&listener=mia": EXPERIMENTER,
        "/analytics/audit-log": OPERATOR,
        "/analytics/catalogue/import": OPERATOR,
        f"/analytics/models/promote?version={version}": OPERATOR,
        "/analytics/models/roll-back": OPERATOR,
        "/analytics/models/train": OPERATOR,
        "/analytics/roles": ADMINISTRATOR,
    }


REACH = {
    VIEWER: {VIEWER, EXPERIMENTER, OPERATOR, ADMINISTRATOR},
    EXPERIMENTER: {EXPERIMENTER, OPERATOR, ADMINISTRATOR},
    OPERATOR: {OPERATOR, ADMINISTRATOR},
    ADMINISTRATOR: {ADMINISTRATOR},
}


def test_the_recall_of_an_approximate_index_is_shown_with_the_models_measures(version):
    version.metrics |= {"first_stage_recall@100": 0.9811, "cells_recall@100": 0.9722}
    version.save()
    client = browser(staff(OPERATOR))
    for path, told in {
        "/analytics/models": ("0.981",),
        "/analytics/system-metrics": ("0.981", "0.972"),
        f"/analytics/models/promote?version={version.pk}": ("0.981",),
    }.items():
        page = client.get(path, **HTML).content.decode()
        assert all(figure in page for figure in told), path
    model = client.get("/analytics/system-metrics").json()["model"]
    assert (model["first_stage_recall_at_100"], model["cells_recall_at_100"]) == (0.9811, 0.9722)


def test_each_role_sees_the_pages_it_is_meant_to_and_no_other(system):
    people = {role: browser(staff(role)) for role in ROLES}
    without = browser(staff())
    listener = browser(User.objects.create_user("listener@example.com"))
    for url, least in pages_of(system).items():
        for role, client in people.items():
            expected = 200 if role in REACH[least] else 403
            assert client.get(url, **HTML).status_code == expected, (url, role)
        assert without.get(url, **HTML).status_code == 403, url
        assert listener.get(url, **HTML).status_code == 403, url
        nobody = Client().get(url, **HTML)
        assert nobody.status_code == 302, url
        assert nobody.url.startswith("/account/login?next=/analytics"), url


def test_each_role_does_the_acts_it_is_meant_to_and_no_other(system, tracks):
    version, track = system["version"], tracks[0]
    acts = {
        ("/analytics/models/train", ()): {OPERATOR, ADMINISTRATOR},
        ("/analytics/models/promote", (("version", version.pk),)): {OPERATOR, ADMINISTRATOR},
        ("/analytics/models/roll-back", ()): {OPERATOR, ADMINISTRATOR},
        ("/analytics/dead-letters/retry", (("all", "all"),)): {OPERATOR, ADMINISTRATOR},
        (f"/analytics/catalogue/tracks/{track.pk}/visibility", (("visible", "no"),)): {
            OPERATOR,
            ADMINISTRATOR,
        },
        (f"/analytics/catalogue/artists/{track.artist_id}/visibility", (("visible", "no"),)): {
            OPERATOR,
            ADMINISTRATOR,
        },
    }
    for (url, data), may in acts.items():
        for role in ROLES:
            TrainingRun.objects.filter(status="queued").delete()
            user = User.objects.filter(email=f"{role}@example.com").first() or staff(role)
            answer = browser(user).post(url, dict(data))
            assert answer.status_code == (302 if role in may else 403), (url, role)
        assert Client().post(url, dict(data)).url.startswith("/account/login"), url
        assert browser(system["listener"].user or staff_less()).post(url).status_code == 403, url


def staff_less():
    return User.objects.get_or_create(email="plain@example.com")[0]


@pytest.mark.parametrize(
    ("role", "act", "may"),
    [
        (VIEWER, "pause", False),
        (OPERATOR, "pause", True),
        (EXPERIMENTER, "pin", True),
        (VIEWER, "pin", False),
    ],
)
def test_only_who_may_change_the_bandit_is_offered_its_actions(role, act, may):
    from bandits.models import Arm

    client, arm = browser(staff(role)), Arm.objects.first()
    client.post("/admin/bandits/arm/", {"action": act, "_selected_action": [arm.pk]})
    arm.refresh_from_db()
    arm.bandit.refresh_from_db()
    assert (arm.status == "paused" or arm.bandit.pinned_arm_id == arm.pk) == may


def test_the_groups_that_migrations_made_are_the_roles():
    made = {
        group.name: {
            f"{p.content_type.app_label}.{p.codename}"
            for p in group.permissions.select_related("content_type")
        }
        for group in Group.objects.filter(name__in=ROLES)
    }
    assert made == {name: set(role.permissions) for name, role in ROLES.items()}


def test_every_ability_on_the_page_of_roles_is_one_that_administrators_have():
    assert {ability.permission for ability in ABILITIES} <= ROLES[ADMINISTRATOR].permissions


def test_no_page_costs_more_than_fifteen_queries(system, django_assert_max_num_queries):
    client = browser(staff(ADMINISTRATOR))
    for url in pages_of(system):
        client.get(url, **HTML)  # what a process reads once
        with django_assert_max_num_queries(MOST_QUERIES):
            assert client.get(url, **HTML).status_code == 200, url


def test_a_page_that_did_not_change_is_answered_with_304(system):
    client = browser(staff(VIEWER))
    fragment = HTML | {"HTTP_HX_REQUEST": "true"}
    for url in ("/analytics/models", "/analytics/system-metrics"):
        first = client.get(url, **fragment)
        assert b"<html" not in first.content
        again = client.get(url, **fragment, HTTP_IF_NONE_MATCH=first["ETag"])
        changed = client.get(url, **fragment, HTTP_IF_NONE_MATCH='"of another page"')
        # Where a second passed between the two, "3 s ago" changed: then the page is sent again.
        if changed["ETag"] == first["ETag"]:
            assert again.status_code == 304
            assert again.content == b""
        assert changed.status_code == 200


@pytest.mark.parametrize("url", ["/analytics", "/analytics/models", "/analytics/system-metrics"])
def test_a_part_of_a_page_is_never_led_to_a_login_but_has_the_page_loaded_again(url, settings):
    fragment = HTML | {"HTTP_HX_REQUEST": "true"}
    settings.STAFF_MFA = True
    without_second_factor = browser(staff(VIEWER))
    for client in (Client(), without_second_factor):
        assert client.get(url, **HTML).status_code == 302
        answer = client.get(url, **fragment)
        assert (answer.status_code, answer["HX-Refresh"]) == (204, "true")


def test_a_client_gets_json(system):
    client = browser(staff(VIEWER))
    today = client.get("/analytics").json()
    assert today["today"]["figures"]["slates"]["value"] >= 0
    assert today["model"]["version"] == system["version"].pk
    assert today["alarms"] == []
    metrics = client.get("/analytics/system-metrics").json()
    assert metrics["model"]["parameters"] == system["version"].n_parameters
    assert metrics["measurements"]["freshness"]["changed"] is True
    assert {p["kind"] for p in metrics["processes"]} == {"worker", "beat"}
    assert client.get("/analytics/models").json()["serving"] == system["version"].pk
    assert client.get("/analytics/dead-letters").json()["dead"] == 0
    assert Client().get("/analytics").status_code in (401, 403)


@pytest.mark.filterwarnings("error:.*received a naive datetime:RuntimeWarning")
def test_every_figure_of_the_overview_has_its_definition_and_its_rows(system):
    client = browser(staff(ADMINISTRATOR))
    page = client.get("/analytics", **HTML)
    for tile in page.context["tiles"]:
        assert tile["key"] in DEFINITIONS
        assert client.get(tile["rows_url"]).status_code == 200, tile["rows_url"]
    assert page.content.count(b'class="how"') >= len(page.context["tiles"])


def test_an_alarm_is_said_in_words_with_a_way_to_act(system):
    OutboxEvent.objects.update(attempts=OutboxEvent.MAX_ATTEMPTS, closed_at=None)
    page = browser(staff(OPERATOR)).get("/analytics", **HTML).content.decode()
    assert "failed too often: you have to look" in page
    assert 'href="/analytics/dead-letters">Look and retry</a>' in page
    later = timezone.now() + timedelta(minutes=5)
    assert [a.key for a in overview(at=later).alarms][:2] == ["worker-silent", "dead-letters"]


def test_an_empty_system_says_what_is_missing_on_every_page(db):
    client = browser(staff(ADMINISTRATOR))
    for url in (
        "/analytics",
        "/analytics/system-metrics",
        "/analytics/models",
        "/analytics/models/roll-back",
        "/analytics/catalogue",
        "/analytics/listeners",
        "/analytics/dead-letters",
        "/analytics/audit-log",
        "/analytics/search",
    ):
        assert client.get(url, **HTML).status_code == 200, url
    assert b"No model serves" in client.get("/analytics", **HTML).content


@pytest.mark.parametrize(
    "url",
    [
        "/analytics/models/promote?version=abc",
        "/analytics/models/promote?version=" + "9" * 400,
        "/analytics/models/compare?first=1&second=%00",
        "/analytics/listeners/00000000-0000-0000-0000-000000000000",
        "/analytics/slates/00000000-0000-0000-0000-000000000000",
        "/analytics/catalogue/import/4711",
    ],
)
def test_what_is_not_there_is_not_found(url):
    assert browser(staff(ADMINISTRATOR)).get(url, **HTML).status_code == 404


@pytest.mark.parametrize(
    "query",
    ["q=%00", "q=" + "x" * 3000, "after=-1", "show=%27", "after=" + "9" * 50, "q=%F0%9F%8E%B5"],
)
def test_whatever_is_asked_of_the_catalogue_is_no_fault(tracks, query):
    assert browser(staff(VIEWER)).get(f"/analytics/catalogue?{query}", **HTML).status_code == 200


@pytest.mark.parametrize("query", ["since=2026-99-99", "before=x", "actor=%00", "until=0"])
def test_whatever_is_asked_of_the_log_is_no_fault(query):
    assert browser(staff(OPERATOR)).get(f"/analytics/audit-log?{query}").status_code == 200


def test_who_looked_at_a_listener_is_in_the_log(system):
    client = browser(staff(EXPERIMENTER))
    client.get(f"/analytics/listeners/{system['listener'].uuid}")
    client.get(f"/analytics/slates/{system['slate'].pk}")
    looks = AuditEntry.objects.filter(act="looked at", actor="experimenter@example.com")
    assert [e.subject for e in looks] == ["mia", "mia"]
    assert str(system["slate"].pk) in looks[0].words


def test_promoting_and_rolling_back_are_done_and_written_down(system, trained, tracks):
    client = browser(staff(OPERATOR))
    second = make_version(trained, tracks, promoted=False)
    asked = {"version": second.pk, "reason": "try it"}
    answer = client.post("/analytics/models/promote", asked, follow=True, headers=PAGE)
    assert f"Model {second.pk} serves within 2 seconds." in answer.content.decode()
    assert ServingState.objects.get().model_version_id == second.pk
    client.post("/analytics/models/roll-back", {"reason": "worse"})
    assert ServingState.objects.get().model_version_id == system["version"].pk
    words = list(AuditEntry.objects.order_by("pk").values_list("act", "words"))
    assert words[-2:] == [("promoted", "try it"), ("rolled back to", "worse")]


def test_a_form_from_elsewhere_changes_nothing(system):
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff(OPERATOR))
    assert client.post("/analytics/models/train").status_code == 403
    assert not TrainingRun.objects.filter(status="queued").exists()


def test_hiding_goes_back_only_to_pages_of_ours(system, tracks):
    client = browser(staff(OPERATOR))
    url = f"/analytics/catalogue/tracks/{tracks[0].pk}/visibility"
    answer = client.post(url, {"visible": "no", "next": "https://evil.example/"})
    assert answer.url == "/analytics/catalogue"
    assert client.post(url, {"visible": "yes", "next": "/analytics"}).url == "/analytics"


def test_a_table_of_millions_is_paged_without_counting_it(system):
    client = browser(staff(ADMINISTRATOR))
    for table in ("recommendation", "feedback"):
        page = client.get(f"/admin/recommendations/{table}/")
        assert page.status_code == 200
        assert page.context["cl"].result_count >= 1


def test_the_admin_is_in_the_consoles_frame(system):
    page = browser(staff(ADMINISTRATOR)).get("/admin/").content.decode()
    assert 'aria-label="Console"' in page
    assert "admin.css" in page
    assert "style=" not in page
