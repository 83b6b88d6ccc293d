"""The built-in metrics, and the experiment over the four ways of recommending."""

from django.db import migrations
from django.utils import timezone

METRICS = [
    # key, name, kind, numerator, denominator, higher is better, further fields
    ("mean_rating", "Mean rating", "ratio", "rating_sum", "ratings", True, {"unit": "stars"}),
    ("like_rate", "Likes per response", "ratio", "likes", "responses", True, {"unit": "%"}),
    ("skip_rate", "Skips per play", "ratio", "skips", "plays", False, {"unit": "%"}),
    ("completion", "Share of a track heard", "ratio", "completion_sum", "plays", True, {"unit": "%"}),
    ("slate_success", "Lists with a good response", "ratio", "successful_slates", "slates", True, {"unit": "%"}),
    ("plays_per_day", "Plays per listener and day", "ratio", "plays", "observed_days", True, {"cap_percentile": 99.5}),
    ("distinct_artists", "Different artists in a week", "mean", "distinct_artists", "listeners", True, {"window_hours": 168, "cap_percentile": 99.5}),
    ("return_7d", "Came back within 7 days", "proportion", "returned", "listeners", True, {"window_hours": 168, "mature_only": True, "unit": "%"}),
    ("latency_ms", "Time to answer", "ratio", "latency_ms_sum", "slates", False, {"cap_percentile": 99, "unit": "ms"}),
]
ROLES = {"mean_rating": "goal", "skip_rate": "guardrail", "latency_ms": "guardrail"}
POLICIES = ["neural_cf", "content_based", "hybrid_ensemble", "contextual_bandit"]
KEY = "recommendation_strategy"
PLANNED = 8000


def create(apps, schema_editor):
    get = lambda name: apps.get_model("experiments", name)  # noqa: E731
    if get("Experiment").objects.filter(key=KEY).exists():
        return  # taken back before, which leaves the rows
    get("AssignmentSettings").objects.get_or_create(pk=1)
    metrics = [
        get("Metric").objects.create(
            key=key, name=name, kind=kind, numerator=numerator, denominator=denominator,
            higher_is_better=higher, **further,
        )
        for key, name, kind, numerator, denominator, higher, further in METRICS
    ]
    experiment = get("Experiment").objects.create(
        key=KEY,
        hypothesis=(
            "Which way of recommending do listeners rate best: the neural network alone, content "
            "alone, their blend, or a bandit that chooses among strategies by context?"
        ),
        status="running",
        planned_listeners=PLANNED,
    )
    get("Variant").objects.bulk_create(
        get("Variant")(experiment=experiment, key=policy, policy=policy, weight=1 / len(POLICIES), position=position)
        for position, policy in enumerate(POLICIES)
    )
    roles = {metric.key: ROLES.get(metric.key, "secondary") for metric in metrics}
    get("ExperimentMetric").objects.bulk_create(
        get("ExperimentMetric")(experiment=experiment, metric=metric, role=roles[metric.key])
        for metric in metrics
    )
    get("Phase").objects.create(
        experiment=experiment,
        number=1,
        seed=KEY,
        started_at=timezone.now(),
        planned_listeners=PLANNED,
        weights={policy: 1 / len(POLICIES) for policy in POLICIES},
        metric_roles=roles,
    )


def remove(apps, schema_editor):
    """Leave the rows: dropping the tables follows, and listeners' exposures may hang on them."""


class Migration(migrations.Migration):
    dependencies = [("experiments", "0002_settings_version")]
    operations = [migrations.RunPython(create, remove)]
