"""What is measured in the database when Prometheus asks: queues, training, bandit, floods."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db import DatabaseError
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.registry import Collector

from bandits.models import Decision
from recommendations.flood import flooding_listeners
from recommendations.models import OutboxEvent, ServingState, TrainingRun


class DatabaseCollector(Collector):
    """Reads every gauge at a scrape; says that the database is away rather than fail."""

    def collect(self) -> Iterator[Gauge]:
        """Yield the gauges; `musicrec_database_up` alone while the database does not answer."""
        try:
            gauges = [*_outbox(), *_training(), *_bandit(), *_flood()]
        except DatabaseError:
            gauges = []
        yield Gauge(
            "musicrec_database_up", "Whether the database answered.", value=float(bool(gauges))
        )
        yield from gauges


def _outbox() -> Iterator[Gauge]:
    waiting = OutboxEvent.objects.open().aggregate(n=Count("pk"), oldest=Min("created_at"))
    age = (timezone.now() - waiting["oldest"]).total_seconds() if waiting["oldest"] else 0.0
    yield Gauge("musicrec_outbox_open", "Effects that are owed.", value=waiting["n"])
    yield Gauge(
        "musicrec_outbox_oldest_seconds", "Age of the oldest effect that is owed.", value=age
    )
    yield Gauge(
        "musicrec_outbox_dead",
        "Effects that failed too often and wait for a person.",
        value=OutboxEvent.objects.dead().count(),
    )


def _training() -> Iterator[Gauge]:
    runs = Gauge("musicrec_training_runs", "Training runs by status.", labels=["status"])
    counts = dict(TrainingRun.objects.order_by().values_list("status").annotate(n=Count("pk")))
    for status in TrainingRun.Status.values:
        runs.add_metric([status], counts.get(status, 0))
    yield runs
    last = (
        TrainingRun.objects.filter(status=TrainingRun.Status.SUCCEEDED)
        .order_by("-finished_at")
        .first()
    )
    yield Gauge(
        "musicrec_training_succeeded_timestamp_seconds",
        "When a training last succeeded, Unix time; 0 if never.",
        value=last.finished_at.timestamp() if last and last.finished_at else 0.0,
    )
    # One at work says nothing yet: a failure must not be hidden by the next attempt.
    newest = TrainingRun.objects.ended().first()
    yield Gauge(
        "musicrec_training_last_failed",
        "1 where the newest run that ended failed.",
        value=float(newest is not None and newest.status == TrainingRun.Status.FAILED),
    )
    state = ServingState.objects.first()
    yield Gauge(
        "musicrec_model_version",
        "The model that should serve; 0 without one.",
        value=(state.model_version_id or 0) if state else 0,
    )


def _bandit() -> Iterator[Gauge]:
    since = timezone.now() - timedelta(hours=1)
    arms = Gauge(
        "musicrec_bandit_decisions_last_hour", "Decisions of the last hour by arm.", labels=["arm"]
    )
    recent = Decision.objects.filter(decided_at__gte=since)
    for arm, n in recent.order_by().values_list("arm").annotate(n=Count("pk")):
        arms.add_metric([arm], n)
    yield arms
    yield Gauge(
        "musicrec_bandit_unfolded_rewards",
        "Rewards that the posterior does not know yet.",
        value=Decision.objects.pending().count(),
    )


def _flood() -> Iterator[Gauge]:
    yield Gauge(
        "musicrec_flooding_listeners",
        "Listeners who respond more in an hour than a person can.",
        value=len(flooding_listeners(at=timezone.now())),
    )
