"""Training runs, the models that came of them, and the one that serves."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone


class TrainingRunQuerySet(models.QuerySet["TrainingRun"]):
    """Reads of training runs."""

    def open(self) -> Self:
        """Return the runs that are waiting or at work; at most one."""
        return self.filter(status__in=[TrainingRun.Status.QUEUED, TrainingRun.Status.RUNNING])

    def ended(self) -> Self:
        """Return the runs that came to an end, good or bad."""
        return self.filter(status__in=[TrainingRun.Status.SUCCEEDED, TrainingRun.Status.FAILED])


class TrainingRun(models.Model):
    """One attempt to train a model, from a snapshot of what was known when it started."""

    class Status(models.TextChoices):
        """How far it is."""

        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    class Trigger(models.TextChoices):
        """Why it was started."""

        FIRST = "first"
        MANUAL = "manual"
        NIGHTLY = "nightly"
        THRESHOLD = "threshold"

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    seed = models.PositiveIntegerField(default=0)
    snapshot = models.JSONField(default=dict, help_text="what it was trained on")
    parameters = models.JSONField(default=dict, help_text="the configuration")
    progress = models.JSONField(default=list, help_text="a report per epoch")
    shared = models.CharField(
        max_length=200,
        db_default="",
        blank=True,
        help_text="what peers fetch, and its checksum",
    )
    error = models.TextField(blank=True)
    requested_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = TrainingRunQuerySet.as_manager()

    class Meta:
        ordering = ["-requested_at"]
        constraints = [
            # The same value in every open row: so there can be one at most.
            models.UniqueConstraint(
                models.Value(1), condition=Q(status__in=["queued", "running"]), name="one_open_run"
            )
        ]

    def __str__(self) -> str:
        return f"run {self.pk} ({self.status})"


class ModelVersion(models.Model):
    """A trained model: arrays in a folder, with what was measured of it. Never deleted."""

    run = models.OneToOneField(TrainingRun, on_delete=models.PROTECT, related_name="version")
    folder = models.CharField(max_length=200, help_text="below MUSICREC_MODELS")
    manifest_sha256 = models.CharField(max_length=64)
    n_parameters = models.PositiveIntegerField()
    n_listeners = models.PositiveIntegerField()
    n_tracks = models.PositiveIntegerField()
    seconds = models.FloatField()
    metrics = models.JSONField(default=dict)
    comparison = models.JSONField(
        default=dict, help_text="this challenger and the champion of its day on the newest slice"
    )
    verdict = models.CharField(max_length=500, help_text="promoted or not, and why")
    promoted_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"model {self.pk}"


class ServingState(models.Model):
    """The one row that web processes watch: what to serve, and whether the catalogue changed."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    model_version = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    previous_version = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    catalogue_version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_serving_state")]

    def __str__(self) -> str:
        return "serving state"
