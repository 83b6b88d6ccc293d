"""Simulated listeners use the real services, and what is concluded is held against the truth."""

import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

import bandits.services
import experiments.services
from accounts.models import Preferences
from bandits.models import Bandit, Decision
from experiments import ledger
from experiments.models import AssignmentSettings, Experiment, Exposure, ListenerTotal, Phase
from recommendations.models import Feedback, OutboxEvent, Recommendation
from recommendations.services.demo import CATALOGUE
from recommendations.services.imports.reading import Rejects
from recommendations.services.imports.tracks import import_tracks
from recommendations.simulation import NothingToRecommend, new_listeners, simulate
from recommendations.simulation.scenario import APPEAL, Fashion, SimulationUnderWay
from recommendations.tasks import drain_outbox
from recommendations.tests.factories import NOW, make_catalogue, make_listener

BANDIT = "recommendation_strategy"


def load_catalogue(folder):
    with Rejects(CATALOGUE.name, folder / "rejects.csv", strict=True) as rejects:
        import_tracks(CATALOGUE, rejects=rejects)


def run(n_listeners, days, **given):
    ends_at = given.pop("ends_at", NOW)
    seed = given.setdefault("seed", 1)
    people = new_listeners(n_listeners, seed=seed, at=ends_at - timedelta(days=days))
    return simulate(people, days=days, ends_at=ends_at, **given)


def bandit():
    return Bandit.objects.get(key=BANDIT)


@pytest.mark.django_db
class TestSmall:
    @pytest.fixture(autouse=True)
    def catalogue(self):
        make_catalogue()

    def test_what_is_logged_learned_and_summed_is_true_afterwards(self):
        report = run(14, 3)
        assert report.slates == Recommendation.objects.count() > 10
        assert report.responses == Feedback.objects.count() > report.slates
        assert not OutboxEvent.objects.open().exists()
        assert not Decision.objects.filter(state="waiting").exists()
        assert bandits.services.verify(bandit(), at=NOW).is_clean
        assert experiments.services.recompute(ledger.events()).changed == 0
        assert Preferences.objects.count() == 14

    def test_both_pages_agree_on_who_met_the_bandit(self, client, django_user_model):
        run(30, 2)
        client.force_login(
            django_user_model.objects.create_superuser("s@example.com", "pw 123 456")
        )
        (told,) = client.get(reverse("ab-testing"), {"experiment": BANDIT}).json()["experiments"]
        (variant,) = [v for v in told["variants"] if v["policy"] == "contextual_bandit"]
        (learned,) = client.get("/analytics/contextual-bandits").json()["bandits"]
        exposed = Exposure.objects.filter(variant__policy="contextual_bandit")
        assert variant["listeners"] == learned["listeners"] == exposed.count() > 0
        assert variant["exposures"][-1]["cumulative"] == variant["listeners"]
        served = Recommendation.objects.filter(policy="contextual_bandit")
        assert learned["decisions"] == served.count() == sum(a["pulls"] for a in learned["arms"])
        assert learned["is_simulated"]
        assert told["is_simulated"]

    def test_an_a_b_run_has_an_experiment_of_its_own_and_puts_all_else_back(self):
        before = AssignmentSettings.objects.get().default_policy
        report = run(12, 2, scenario="a-b")
        test = Experiment.objects.get(key=report.experiment)
        assert test.status == "stopped"
        assert report.truth["content_based"] > report.truth["trending"] + 0.05
        assert report.verdict == f"{(phase := test.phases.get()).verdict}. {phase.verdict_words}"
        assert Exposure.objects.exclude(phase=phase).count() == 0
        assert Experiment.objects.get(key=BANDIT).status == "running"
        assert AssignmentSettings.objects.get().default_policy == before
        assert phase.looks == 2

    def test_a_second_run_is_a_new_phase(self):
        run(4, 1, scenario="a-a")
        run(4, 1, scenario="a-a", seed=2)
        assert Phase.objects.filter(experiment__key="simulated_a_a").count() == 2

    def test_in_drift_the_bandit_serves_everybody(self):
        report = run(6, 2, scenario="drift")
        assert set(Recommendation.objects.values_list("policy", flat=True)) == {"contextual_bandit"}
        assert Decision.objects.count() == report.slates
        assert Experiment.objects.get(key=BANDIT).status == "running"

    def test_late_responses_count_where_they_are_in_time(self):
        run(10, 2, scenario="delay")
        assert bandits.services.verify(bandit(), at=NOW).is_clean

    def test_people_are_not_simulated(self):
        with pytest.raises(ValueError, match="simulated"):
            simulate([make_listener()], days=1, ends_at=NOW)

    @pytest.mark.parametrize("days", ["0", "181"])
    def test_days_out_of_range_are_refused(self, days):
        with pytest.raises(CommandError, match="days"):
            call_command("simulate", "--days", days)


@pytest.mark.django_db
def test_without_a_catalogue_there_is_nothing_to_simulate():
    with pytest.raises(NothingToRecommend):
        run(2, 1)


def test_fashion_changes_half_way():
    fashion = Fashion("trending", "discovery")
    assert [fashion.appeal("trending", share=share) for share in (0.1, 0.6)] == [APPEAL, 0]
    assert [fashion.appeal("discovery", share=share) for share in (0.1, 0.6)] == [0, APPEAL]
    assert Fashion().appeal("", share=0.1) == 0


@pytest.mark.usefixtures("committed")
def test_simulations_run_one_at_a_time():
    make_catalogue()
    errors = []

    def second(share):
        def simulate_too():
            try:
                run(1, 1, seed=9, scenario="delay")
            except SimulationUnderWay as error:
                errors.append(error)
            finally:
                connection.close()

        if not errors:
            thread = threading.Thread(target=simulate_too)
            thread.start()
            thread.join()

    began = Phase.objects.get().started_at
    run(1, 1, scenario="drift", progress=second)
    assert len(errors) == 1
    assert Phase.objects.get().started_at == began


@pytest.fixture
def worker(child_environment):
    """A worker process on this test's database and queue."""
    command = "-m celery --quiet -A musicrec worker --pool solo -Q default --without-mingle"
    process = subprocess.Popen(  # noqa: S603 (our own command)
        [sys.executable, *command.split(), "--without-gossip", "--loglevel", "error"],
        env=child_environment,
    )
    yield process
    process.terminate()
    process.wait(timeout=30)


def drained_by_the_worker(at):
    drain_outbox.apply_async()
    deadline = time.monotonic() + 60
    while OutboxEvent.objects.open().exists():
        assert time.monotonic() < deadline, "the worker did not apply what is owed"


@pytest.mark.usefixtures("committed", "worker")
def test_a_simulation_whose_effects_a_worker_process_applies():
    make_catalogue()
    ends_at = timezone.now()
    report = run(4, 1, scenario="a-b", ends_at=ends_at, drain=drained_by_the_worker)
    responses, recomputed = Feedback.objects.count(), recompute_and_clear(report.experiment)
    assert report.responses == responses > 0
    assert recomputed.changed == 0


def recompute_and_clear(key):
    """Recompute, then remove the experiment: its tables are not among those that are emptied."""
    recomputed = experiments.services.recompute(ledger.events())
    for table in (ListenerTotal, Exposure):
        table.objects.all().delete()
    Experiment.objects.filter(key=key).delete()
    return recomputed


@pytest.mark.slow
@pytest.mark.django_db
class TestVerdicts:
    def test_a_known_difference_ends_in_shipping_the_better(self, tmp_path):
        load_catalogue(tmp_path)
        report = run(120, 14, scenario="a-b", seed=11)
        assert report.truth["content_based"] > report.truth["trending"]
        assert report.verdict.startswith("ship. Ship content_based")

    @pytest.mark.parametrize("seed", [11, 12])
    def test_without_a_difference_nothing_is_shipped(self, tmp_path, seed):
        load_catalogue(tmp_path)
        report = run(120, 14, scenario="a-a", seed=seed)
        assert abs(report.truth["trending"] - report.truth["trending_again"]) < 0.02
        phase = Experiment.objects.get(key="simulated_a_a").phases.get()
        assert phase.verdict in ("keep running", "review")
        assert "has no winner" in phase.verdict_words or phase.verdict == "keep running"


@pytest.mark.slow
@pytest.mark.django_db
def test_after_drift_a_bandit_that_forgets_follows_and_one_that_remembers_lags(tmp_path):
    load_catalogue(tmp_path)
    shares = {}
    for half_life in (timedelta(days=2), None):
        bandits.services.reset(bandit(), at=NOW - timedelta(days=40))
        bandits.services.change_settings(bandit(), at=NOW, half_life=half_life)
        bandits.services.rebuild(bandit(), at=NOW)
        people = new_listeners(60, seed=5, at=NOW - timedelta(days=40))
        report = simulate(people, days=40, ends_at=NOW, scenario="drift", seed=5)
        shares[half_life] = report.share_of_best
    forgetting, remembering = shares.values()
    # Within 400 decisions of the change the new best arm has most of them.
    assert max(forgetting[:4]) > 0.5
    assert sum(forgetting[:4]) > sum(remembering[:4]) + 0.4
    assert max(remembering[:2]) < 0.5
