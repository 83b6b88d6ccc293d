from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from accounts.models import User
from experiments import services
from experiments.models import AssignmentSettings, Experiment, ExperimentMetric, Metric
from experiments.services.lifecycle import NotAllowedNow, NotReady
from experiments.tests.factories import NOW, expose, make_draft, make_listener, make_running

pytestmark = pytest.mark.django_db


def test_the_built_in_experiment_runs_over_the_four_policies():
    experiment = Experiment.objects.get(key="recommendation_strategy")
    assert experiment.status == "running"
    assert experiment.coverage == 1
    assert {v.policy: v.weight for v in experiment.variants.all()} == {
        "neural_cf": 0.25,
        "content_based": 0.25,
        "hybrid_ensemble": 0.25,
        "contextual_bandit": 0.25,
    }
    assert Metric.objects.count() == 9


def test_a_template_makes_a_draft_with_a_goal_and_guardrails():
    experiment = make_draft()
    roles = dict(experiment.metric_roles.values_list("metric__key", "role"))
    assert [key for key, role in roles.items() if role == "goal"] == ["mean_rating"]
    assert {key for key, role in roles.items() if role == "guardrail"} == {
        "skip_rate",
        "latency_ms",
    }


@pytest.mark.parametrize(
    ("policies", "further"), [(["a"], {}), (["a", "a"], {}), (["a", "b"], {"goal": "joy"})]
)
def test_an_impossible_template_is_refused(policies, further):
    with pytest.raises(NotReady):
        services.create_from_template(key="x", hypothesis="", policies=policies, **further)


def test_starting_is_refused_while_a_check_fails():
    overlapping = make_draft(layer="policy")
    with pytest.raises(NotReady, match="overlap: recommendation_strategy"):
        services.start(overlapping, at=NOW)
    lopsided = make_draft()
    lopsided.variants.filter(key="b").update(weight=0)
    with pytest.raises(NotReady, match="weights"):
        services.start(lopsided, at=NOW)
    aimless = make_draft()
    aimless.metric_roles.filter(role="goal").delete()
    with pytest.raises(NotReady, match="goal"):
        services.start(aimless, at=NOW)


def test_experiments_may_share_a_layer_side_by_side():
    left = make_draft(layer="l", layer_end=0.5)
    right = make_draft(layer="l", layer_start=0.5)
    services.start(left, at=NOW)
    services.start(right, at=NOW)
    assert Experiment.objects.running().filter(layer="l").count() == 2


def test_acts_that_do_not_fit_the_status_are_refused():
    draft = make_draft()
    with pytest.raises(NotAllowedNow, match="is draft and cannot be stopped"):
        services.stop(draft, reason="x", at=NOW)
    running = make_running()
    with pytest.raises(NotAllowedNow):
        services.start(running, at=NOW)
    services.stop(running, reason="x", at=NOW)
    with pytest.raises(NotAllowedNow):
        services.pause(running, reason="x")


@pytest.mark.parametrize("reason", ["", "  "])
def test_stopping_needs_a_reason(reason):
    with pytest.raises(NotReady, match="say why"):
        services.stop(make_running(), reason=reason, at=NOW)


def test_pausing_serves_the_default_and_resuming_returns_the_same_variants():
    experiment = make_running()
    listener = make_listener()
    before = expose(listener).variant_key
    services.pause(experiment, reason="a look")
    assert services.assign(listener, attributes={}, at=NOW) is None
    services.start(experiment, at=NOW)
    assert services.assign(listener, attributes={}, at=NOW).variant_key == before
    assert experiment.phases.count() == 1


def test_shipping_makes_the_policy_the_default_and_history_says_who_and_why():
    experiment = make_running()
    operator = User.objects.create_user("op@example.org")
    services.ship(experiment, variant_key="b", reason="it won", at=NOW, by=operator)
    experiment.refresh_from_db()
    assert experiment.status == "stopped"
    assert services.default_policy() == "b"
    for row in (experiment.history.first(), AssignmentSettings.objects.get().history.first()):
        assert row.history_user == operator
        assert f"shipped {experiment.key}/b" in row.history_change_reason
    assert "it won" in experiment.phases.get().end_reason
    with pytest.raises(NotReady, match="no 'zzz'"):
        services.ship(experiment, variant_key="zzz", reason="x", at=NOW)


def test_a_new_phase_randomizes_anew_and_opens_the_plan():
    experiment = make_running()
    listeners = [make_listener() for _ in range(40)]
    first = [expose(listener).variant_key for listener in listeners]
    services.begin_phase(experiment, reason="other weights", at=NOW + timedelta(days=1))
    experiment.refresh_from_db()
    assert (experiment.status, experiment.phase_number) == ("draft", 2)
    services.start(experiment, at=NOW + timedelta(days=1))
    second = [expose(listener).variant_key for listener in listeners]
    assert len(set(zip(first, second, strict=True))) == 4
    assert experiment.phases.count() == 2


def test_stopping_the_last_treatment_stops_the_experiment():
    experiment = make_running()
    services.stop_variant(experiment.variants.get(key="b"), reason="harm", at=NOW)
    experiment.refresh_from_db()
    assert experiment.status == "stopped"
    assert experiment.variants.get(key="b").stop_reason == "harm"


def test_the_baseline_cannot_be_stopped_alone():
    with pytest.raises(NotAllowedNow, match="baseline"):
        services.stop_variant(make_running().variants.get(key="a"), reason="x", at=NOW)


@pytest.mark.parametrize("coverage", [-0.1, 1.1])
def test_coverage_is_a_share(coverage):
    with pytest.raises(NotReady, match="between 0 and 1"):
        services.change_coverage(make_running(), coverage=coverage)


def test_coverage_may_change_while_running():
    experiment = make_running(coverage=0.0)
    listener = make_listener()
    assert services.assign(listener, attributes={}, at=NOW) is None
    services.change_coverage(experiment, coverage=1.0)
    assert services.assign(listener, attributes={}, at=NOW) is not None


def test_a_running_experiments_plan_cannot_be_edited():
    experiment = make_running()
    experiment.seed = "another"
    with pytest.raises(ValidationError, match="begin a new phase"):
        experiment.full_clean()
    experiment.refresh_from_db()
    experiment.hypothesis = "said better"
    experiment.full_clean()
    variant = experiment.variants.first()
    variant.weight = 0.4
    with pytest.raises(ValidationError, match="variants cannot be edited"):
        variant.full_clean()
    role = experiment.metric_roles.get(role="goal")
    role.role = ExperimentMetric.Role.SECONDARY
    with pytest.raises(ValidationError, match="metrics cannot be edited"):
        role.full_clean()
    metric = Metric.objects.get(key="mean_rating")
    metric.window_hours = 5
    with pytest.raises(ValidationError, match="metrics cannot be edited"):
        metric.full_clean()
    metric.refresh_from_db()
    metric.name = "Average rating"
    metric.full_clean()
