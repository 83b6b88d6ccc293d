from datetime import timedelta

import pytest
from django.db import connection

from accounts.models import User
from experiments import services
from experiments.models import AssignmentSettings, Experiment, Exposure, Variant
from experiments.services import definitions
from experiments.tests.factories import NOW, expose, make_listener, make_running

pytestmark = pytest.mark.django_db


def assign(listener, **fields):
    return services.assign(listener, attributes=fields, at=NOW)


def test_everyone_is_enrolled_in_the_built_in_experiment():
    policies = {assign(make_listener()).policy for _ in range(60)}
    assert policies == {"neural_cf", "content_based", "hybrid_ensemble", "contextual_bandit"}


def test_assignment_is_one_query_and_exposure_one_more(django_assert_num_queries):
    make_running()
    assign(make_listener())
    listener = make_listener()
    with django_assert_num_queries(1):
        assignment = assign(listener, device="mobile")
    with django_assert_num_queries(1):
        services.record_exposure(
            assignment, listener, served_policy=assignment.policy, fallback=False, at=NOW
        )
    with django_assert_num_queries(1):
        again = assign(listener)
        services.record_exposure(again, listener, served_policy="x", fallback=True, at=NOW)
    assert again.exposed_before


@pytest.mark.parametrize(
    "change",
    [
        lambda e: Experiment.objects.filter(pk=e.pk).update(status="paused"),
        lambda e: AssignmentSettings.objects.update(experiments_enabled=False),
        lambda e: AssignmentSettings.objects.update(holdout_share=1.0),
        lambda e: Variant.objects.filter(experiment=e).update(stopped_at=NOW),
        lambda e: e.phases.update(ended_at=NOW),
    ],
)
def test_a_change_by_any_way_of_writing_is_seen_by_the_next_request(change):
    experiment = make_running()
    listener = make_listener()
    assert assign(listener) is not None
    change(experiment)
    assert assign(listener) is None


def test_a_change_in_plain_sql_is_seen_too():
    make_running()
    listener = make_listener()
    assert assign(listener) is not None
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM experiments_phase")
    assert assign(listener) is None


def test_an_exposure_keeps_what_was_assigned_and_what_was_served():
    make_running()
    listener = make_listener()
    assignment = assign(listener, device="car")
    services.record_exposure(assignment, listener, served_policy="trending", fallback=True, at=NOW)
    exposure = Exposure.objects.get()
    assert exposure.variant.key == assignment.variant_key
    assert (exposure.served_policy, exposure.fallback) == ("trending", True)
    assert exposure.segment == "returning/car"


def test_an_exposed_listener_keeps_the_variant_when_weights_change():
    experiment = make_running()
    listener = make_listener()
    first = expose(listener)
    other = experiment.variants.exclude(key=first.variant_key).get()
    experiment.variants.exclude(pk=other.pk).update(weight=0)
    experiment.variants.filter(pk=other.pk).update(weight=1)
    assert assign(listener).variant_key == first.variant_key
    assert assign(make_listener()).variant_key == other.key


def test_meeting_a_second_variant_marks_the_exposure_and_moves_nobody():
    experiment = make_running()
    listener = make_listener()
    first = expose(listener)
    other = experiment.variants.exclude(key=first.variant_key).get()
    stray = services.Assignment(
        **{
            **first.__dict__,
            "variant_key": other.key,
            "variant_id": other.pk,
        }
    )
    services.record_exposure(stray, listener, served_policy="x", fallback=False, at=NOW)
    exposure = Exposure.objects.get()
    assert (exposure.variant.key, exposure.multiple) == (first.variant_key, True)


def test_only_staff_may_force_a_variant_and_it_is_not_recorded():
    experiment = make_running()
    forced = {experiment.key: "b"}
    plain = make_listener(user=User.objects.create_user("a@example.org"))
    staff = make_listener(user=User.objects.create_user("b@example.org", is_staff=True))
    asked = services.assign(plain, attributes={}, at=NOW, forced=forced)
    unasked = assign(plain)
    assert asked == unasked
    for key in ("a", "b"):
        seen = services.assign(staff, attributes={}, at=NOW, forced={experiment.key: key})
        assert (seen.variant_key, seen.forced) == (key, True)
        services.record_exposure(seen, staff, served_policy=key, fallback=False, at=NOW)
    assert not Exposure.objects.exists()


def test_without_an_experiment_the_default_policy_is_served():
    Experiment.objects.all().update(status="stopped")
    AssignmentSettings.objects.update(default_policy="trending")
    listener = make_listener()
    assert assign(listener) is None
    assert services.default_policy() == "trending"
    assert services.route(listener, attributes={}, at=NOW).policy == "trending"


def test_the_held_out_keep_their_own_policy():
    make_running()
    AssignmentSettings.objects.update(holdout_share=1, holdout_policy="neural_cf")
    AssignmentSettings.objects.update(default_policy="shipped")
    listener = make_listener()
    assert services.route(listener, attributes={}, at=NOW).policy == "neural_cf"
    assert services.default_policy(listener) == "neural_cf"
    assert services.default_policy() == "shipped"


def test_targeting_by_account_age_comes_from_the_listener():
    make_running(visitor="new")
    old, new = make_listener(), make_listener(created_at=NOW - timedelta(hours=1))
    assert assign(old) is None
    assert assign(new).segment == "new/unknown"


def test_a_missing_settings_row_means_no_experiments():
    AssignmentSettings.objects.all().delete()
    assert assign(make_listener()) is None
    assert services.default_policy() == definitions.Definitions().default_policy
