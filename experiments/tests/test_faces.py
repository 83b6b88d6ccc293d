import csv
import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from experiments import ledger, reports, services
from experiments.analysis import Options
from experiments.core.intervals import Method
from experiments.models import Experiment, TrendPoint
from experiments.serializers import report_data
from experiments.tests.factories import make_draft, make_running
from experiments.tests.test_rollup import play_out

pytestmark = pytest.mark.django_db
ADDRESS = "/analytics/ab-testing"


@pytest.fixture
def staff():
    return User.objects.create_superuser("op@example.org")


@pytest.fixture
def client(staff):
    client = Client()
    client.force_login(staff)
    return client


@pytest.fixture
def finished():
    """An experiment whose b is better, judged eight days after its start."""
    at = timezone.now() - timedelta(days=8)
    experiment = make_running(at=at, planned_listeners=200)
    play_out(200, lambda v: 3.0 if v == "a" else 3.9, at=at)
    services.roll_up(at=timezone.now())
    return experiment


def test_only_staff_see_results():
    client = Client()
    assert client.get(ADDRESS).status_code == 401
    response = client.get(ADDRESS, HTTP_ACCEPT="text/html")
    assert response.status_code == 302
    assert "next=/analytics/ab-testing" in response["Location"]
    client.force_login(User.objects.create_user("listener@example.org"))
    assert client.get(ADDRESS).status_code == 403


def test_the_report_on_many_is_that_on_each(finished):
    """Also where one has ended as planned, whose numbers are then those of that day."""
    finished.method = Method.FIXED
    finished.save()
    phase = finished.phases.get()
    TrendPoint.objects.filter(phase=phase).update(as_of=phase.started_at.date())
    phase.planned_end_at = phase.started_at + timedelta(days=1)
    phase.save()
    at = timezone.now()
    other = make_running(at=at - timedelta(days=3), planned_listeners=50)
    play_out(30, lambda v: 3.0, at=at - timedelta(days=3), seed=5)
    services.roll_up(at=at)
    asked = [(one, Options(method=Method(one.method))) for one in (other, finished, make_draft())]
    together = reports.report_each(asked, at=at)
    alone = [reports.report(one, at=at, options=options) for one, options in asked]
    assert [report_data(one) for one in together] == [report_data(one) for one in alone]
    assert [sum(one.totals.values()) for one in together] == [30, 200, 0]
    assert [bool(one.trend) for one in together] == [True, True, False]
    assert all(any(result.n for result in one.results) for one in together[:2])


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
def test_clients_get_json_with_the_numbers_behind_the_verdict(client, finished, accept):
    given = {"HTTP_ACCEPT": accept} if accept else {}
    response = client.get(ADDRESS, **given)
    assert response["Content-Type"] == "application/json"
    assert {e["experiment"] for e in response.json()["experiments"]} == {
        finished.key,
        "recommendation_strategy",
    }
    (one,) = client.get(ADDRESS, {"experiment": finished.key}).json()["experiments"]
    assert (one["verdict"]["kind"], one["verdict"]["variant"]) == ("ship", "b")
    assert one["listeners"] == 200
    rows = {(row["metric"], row["variant"]): row for row in one["metrics"]}
    row = rows["mean_rating", "b"]
    assert row["value"] == pytest.approx(row["numerator"] / row["denominator"])
    assert 0 < row["low"] < row["lift"] < row["high"]
    assert rows["mean_rating", "a"]["lift"] is None
    assert one["trend"][0]["points"]
    assert {check["name"] for check in one["health"]} >= {"sample ratio", "fall-backs"}


def test_browsers_get_pages(client, finished):
    listing = client.get(ADDRESS, HTTP_ACCEPT="text/html")
    assert f"?experiment={finished.key}" in listing.content.decode()
    page = client.get(ADDRESS, {"experiment": finished.key}, HTTP_ACCEPT="text/html")
    text = page.content.decode()
    assert "Ship b" in text
    assert text.count("<svg") > 4
    assert "style=" not in text


def test_a_page_costs_few_queries(client, finished, django_assert_max_num_queries):
    with django_assert_max_num_queries(15):
        client.get(ADDRESS, {"experiment": finished.key}, HTTP_ACCEPT="text/html")
    with django_assert_max_num_queries(8):
        client.get(ADDRESS, HTTP_ACCEPT="text/html")


def test_every_switch_changes_the_numbers_it_names(client, finished):
    def goal(**switches):
        data = client.get(ADDRESS, {"experiment": finished.key, **switches}).json()
        rows = {(r["metric"], r["variant"]): r for r in data["experiments"][0]["metrics"]}
        return rows["mean_rating", "b"]

    relative, absolute = goal(), goal(lift="absolute")
    assert absolute["lift"] > 2 * relative["lift"]
    fixed = goal(interval="fixed")
    assert fixed["high"] - fixed["low"] < relative["high"] - relative["low"]
    assert goal(segment="new")["listeners"] == 0
    assert goal(segment="returning")["listeners"] == relative["listeners"]


@pytest.mark.parametrize(
    "query", [{"interval": "guess"}, {"lift": "up"}, {"cuped": "maybe"}, {"segment": "x" * 99}]
)
def test_wrong_switches_are_named(client, query):
    response = client.get(ADDRESS, query)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == list(query)


def test_an_unknown_experiment_is_not_found(client):
    assert client.get(ADDRESS, {"experiment": "nope"}).status_code == 404


def test_csv_has_a_row_per_metric_and_variant(client, finished):
    response = client.get(ADDRESS, {"experiment": finished.key, "format": "csv"})
    assert response["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert len(rows) == 9 * 2
    assert {row["experiment"] for row in rows} == {finished.key}


def test_a_draft_has_a_page_that_says_so(client):
    draft = make_draft()
    page = client.get(ADDRESS, {"experiment": draft.key}, HTTP_ACCEPT="text/html")
    assert "has not started" in page.content.decode()


def act_url(experiment, act):
    return reverse("admin:experiments_experiment_act", args=[experiment.pk, act])


def test_an_act_is_asked_first_and_kept_with_who_and_why(client, staff):
    experiment = make_running()
    asked = client.get(act_url(experiment, "stop"))
    assert "Everybody gets the default policy" in asked.content.decode()
    experiment.refresh_from_db()
    assert experiment.status == "running"
    client.post(act_url(experiment, "stop"), {"reason": "enough"})
    experiment.refresh_from_db()
    assert experiment.status == "stopped"
    newest = experiment.history.first()
    assert (newest.history_user, newest.history_change_reason) == (staff, "stopped: enough")


def test_the_whole_life_in_the_admin(client):
    created = client.post(
        reverse("admin:experiments_experiment_template"),
        {
            "key": "loud",
            "hypothesis": "louder is better",
            "policies": "neural_cf, hybrid_ensemble",
            "goal": "mean_rating",
            "guardrails": ["skip_rate"],
        },
    )
    experiment = Experiment.objects.get(key="loud")
    assert created["Location"] == reverse(
        "admin:experiments_experiment_change", args=[experiment.pk]
    )
    refused = client.post(act_url(experiment, "start"))
    assert "recommendation_strategy holds the same part" in refused.content.decode()
    Experiment.objects.filter(pk=experiment.pk).update(layer="own")
    for act, given, status in (
        ("start", {}, "running"),
        ("pause", {"reason": "x"}, "paused"),
        ("start", {}, "running"),
        ("coverage", {"coverage": "0.5"}, "running"),
        ("phase", {"reason": "x"}, "draft"),
        ("start", {}, "running"),
        ("ship", {"variant": "hybrid_ensemble", "reason": "x"}, "stopped"),
    ):
        assert client.post(act_url(experiment, act), given).status_code == 302, act
        experiment.refresh_from_db()
        assert experiment.status == status
    assert experiment.coverage == 0.5
    assert services.default_policy() == "hybrid_ensemble"


def test_acts_need_their_permission():
    viewer = User.objects.create_user("viewer@example.org", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_experiment"))
    client = Client()
    client.force_login(viewer)
    experiment = make_running()
    assert client.post(act_url(experiment, "stop"), {"reason": "x"}).status_code == 403
    assert (
        client.post(act_url(experiment, "ship"), {"variant": "b", "reason": "x"}).status_code == 403
    )
    experiment.refresh_from_db()
    assert experiment.status == "running"


def test_the_admin_shows_a_running_plan_as_fixed(client):
    experiment = make_running()
    address = reverse("admin:experiments_experiment_change", args=[experiment.pk])
    page = client.get(address)
    assert "begin a new phase" in page.content.decode()
    client.post(address, {"hypothesis": "x", "seed": "other", "variants-0-weight": "0.9"})
    experiment.refresh_from_db()
    assert experiment.seed == "fixed"
    assert experiment.variants.first().weight == 0.5


@pytest.mark.parametrize("name", ["metric", "assignmentsettings", "phase", "experiment"])
def test_every_list_of_the_admin_opens(client, name):
    assert client.get(reverse(f"admin:experiments_{name}_changelist")).status_code == 200


def test_the_command_lists_shows_and_acts(finished, capsys):
    call_command("experiment", "list")
    call_command("experiment", "show", finished.key)
    call_command("experiment", "power", finished.key)
    call_command("experiment", "rollup")
    call_command("experiment", "stop", finished.key, "--reason", "seen enough")
    printed = capsys.readouterr().out
    assert "ship b" in printed
    assert "Verdict: ship. Ship b" in printed
    assert "listeners for 80 % power" in printed
    assert f"{finished.key} is stopped." in printed
    with pytest.raises(CommandError, match="is stopped and cannot be started"):
        call_command("experiment", "start", finished.key)
    with pytest.raises(CommandError, match="no experiment 'nope'"):
        call_command("experiment", "show", "nope")


def test_recomputing_reads_the_registered_ledger(monkeypatch, capsys):
    make_running()
    _, events = play_out(10, lambda _: 3.5)
    monkeypatch.setattr(ledger, "_sources", [])
    ledger.register(lambda: iter(events))
    call_command("experiment", "rollup")
    call_command("experiment", "recompute")
    assert f"{len(events)} events" in capsys.readouterr().out
    call_command("experiment", "recompute")
    assert " 0 changed" in capsys.readouterr().out
