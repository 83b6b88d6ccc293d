"""How the system itself is doing: what web processes timed, who is alive, what jobs counted."""

from datetime import datetime
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Sum
from django.utils import timezone

from recommendations.models.catalogue import Track


class RequestMinuteQuerySet(models.QuerySet["RequestMinute"]):
    """Reads of what was timed."""

    def since(self, at: datetime) -> Self:
        """Return the minutes that began at `at` or later."""
        return self.filter(minute__gte=at)


class RequestMinute(models.Model):
    """The requests of one minute, of one endpoint and strategy, added up over all web processes.

    `buckets` counts durations by `recommendations.core.latency`; the same bounds everywhere, so
    that rows add up exactly.
    """

    minute = models.DateTimeField()
    endpoint = models.CharField(max_length=100, help_text="method and route")
    strategy = models.CharField(max_length=32, blank=True, help_text="served, by /recommend")
    n = models.PositiveIntegerField()
    n_errors = models.PositiveIntegerField(help_text="answers of 500 and above")
    n_refused = models.PositiveIntegerField(help_text="answers of 429 and 503")
    n_fallbacks = models.PositiveIntegerField(help_text="lists that another strategy made")
    buckets = ArrayField(models.PositiveIntegerField())

    objects = RequestMinuteQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["minute", "endpoint", "strategy"], name="one_row_per_minute_and_endpoint"
            )
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} at {self.minute:%H:%M}"


class Heartbeat(models.Model):
    """A process that says it is alive; a row per process, renewed every few seconds."""

    class Kind(models.TextChoices):
        """What the process is."""

        WORKER = "worker"
        BEAT = "beat"
        WEB = "web"

    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    detail = models.CharField(max_length=200, blank=True, help_text="queues of a worker")
    started_at = models.DateTimeField(default=timezone.now)
    beat_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True, help_text="when it said goodbye")

    class Meta:
        ordering = ["kind", "name"]

    def __str__(self) -> str:
        return self.name


class ActivitySlotQuerySet(models.QuerySet["ActivitySlot"]):
    """Reads of activity."""

    def total(self) -> dict[str, Any]:
        """Return the sum of every count over these slots, 0 where there is none."""
        return self.aggregate(**{name: Sum(name, default=0) for name in ActivitySlot.COUNTS})


class ActivitySlot(models.Model):
    """What listeners did in five minutes; every column adds up over slots of a day.

    Filled by `recommendations.services.rollups`, a day at a time.
    """

    COUNTS = (
        "n_first_seen",
        "n_slates",
        "n_in_experiment",
        "n_fallbacks",
        "n_simulated",
        "n_responses",
        "n_ratings",
        "rating_sum",
        "n_likes",
        "n_dislikes",
        "n_plays",
        "n_skips",
    )

    starts_at = models.DateTimeField(primary_key=True)
    n_first_seen = models.PositiveIntegerField(
        default=0, help_text="listeners whose first act of the day was in it"
    )
    n_slates = models.PositiveIntegerField(default=0)
    n_in_experiment = models.PositiveIntegerField(default=0, help_text="slates of a variant")
    n_fallbacks = models.PositiveIntegerField(default=0, help_text="slates with a fall-back")
    n_simulated = models.PositiveIntegerField(default=0, help_text="slates of simulated listeners")
    n_responses = models.PositiveIntegerField(default=0)
    n_ratings = models.PositiveIntegerField(default=0)
    rating_sum = models.PositiveIntegerField(default=0)
    n_likes = models.PositiveIntegerField(default=0)
    n_dislikes = models.PositiveIntegerField(default=0)
    n_plays = models.PositiveIntegerField(default=0)
    n_skips = models.PositiveIntegerField(default=0)

    objects = ActivitySlotQuerySet.as_manager()

    def __str__(self) -> str:
        return f"activity from {self.starts_at:%Y-%m-%d %H:%M}"


class TrackShown(models.Model):
    """On how many lists of a day a track was."""

    day = models.DateField()
    track = models.ForeignKey(Track, on_delete=models.CASCADE, db_index=False)
    n = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["track", "day"], name="one_count_per_day")]
        indexes = [models.Index(fields=["day"])]

    def __str__(self) -> str:
        return f"{self.track_id} on {self.day}: {self.n}"


class CountedDayQuerySet(models.QuerySet["CountedDay"]):
    """Reads of counted days."""

    def final(self) -> Self:
        """Return the days that were counted after they were over."""
        return self.filter(counted_at__gte=F("settles_at"))


class CountedDay(models.Model):
    """A day whose slots and tracks were counted, written with them: where a job goes on."""

    day = models.DateField(primary_key=True)
    counted_at = models.DateTimeField()
    whole_at = models.DateTimeField(null=True, help_text="when it was last counted whole")
    settles_at = models.DateTimeField(help_text="a count after this is the last")
    seconds = models.FloatField()

    objects = CountedDayQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.day)


class SystemReport(models.Model):
    """The newest result of one measurement of the system, or why there is none."""

    key = models.CharField(primary_key=True, max_length=40)
    figures = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    computed_at = models.DateTimeField()
    seconds = models.FloatField()

    def __str__(self) -> str:
        return self.key


class SystemReading(models.Model):
    """A few figures of the system once a minute, kept for two weeks to be drawn."""

    at = models.DateTimeField(primary_key=True)
    outbox_open = models.PositiveIntegerField()
    outbox_oldest_seconds = models.FloatField()
    freshness_ms = models.FloatField(null=True)

    def __str__(self) -> str:
        return f"reading of {self.at:%Y-%m-%d %H:%M}"
