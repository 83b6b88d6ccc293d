"""A listening history that a listener brings along from elsewhere."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Listener

STALLED_AFTER = timedelta(minutes=5)
"""Without a step for so long, whoever worked at an import is taken for dead."""


class HistoryImportQuerySet(models.QuerySet["HistoryImport"]):
    """Reads of imports."""

    def by(self, listener: Listener) -> Self:
        """Return those of one listener."""
        return self.filter(listener=listener)

    def open(self) -> Self:
        """Return those that are waiting or at work."""
        return self.filter(status__in=[HistoryImport.Status.QUEUED, HistoryImport.Status.RUNNING])

    def claimable(self, *, at: datetime) -> Self:
        """Return those that wait, or whose worker is gone."""
        stalled = Q(status=HistoryImport.Status.RUNNING, progressed_at__lt=at - STALLED_AFTER)
        return self.filter(Q(status=HistoryImport.Status.QUEUED) | stalled)

    def without_content(self) -> Self:
        """Leave the file out, which can be large."""
        return self.defer("content")


class HistoryImport(models.Model):
    """One uploaded file, how far it has been taken in, and what came of it.

    The file lies in the row until it is done, since web and worker may be different machines.
    """

    class Status(models.TextChoices):
        """How far it is."""

        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    class Source(models.TextChoices):
        """Where the history comes from."""

        SPOTIFY = "spotify"
        LASTFM = "lastfm"
        LISTENBRAINZ = "listenbrainz"

    listener = models.ForeignKey(Listener, on_delete=models.CASCADE)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    source = models.CharField(
        max_length=12, choices=Source.choices, blank=True, help_text="empty until it is known"
    )
    file_name = models.CharField(max_length=200)
    content = models.BinaryField(null=True)
    position = models.PositiveBigIntegerField(default=0, help_text="plays of the file taken in")
    matched = models.PositiveIntegerField(default=0, help_text="plays that are new and count")
    unmatched = models.PositiveIntegerField(default=0, help_text="plays of no track that is here")
    duplicates = models.PositiveIntegerField(default=0, help_text="plays that were counted before")
    rejected = models.PositiveIntegerField(default=0, help_text="rows that are no plays")
    missing = models.JSONField(default=dict, help_text="unmatched plays by artist and title")
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    progressed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = HistoryImportQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=Q(status__in=["queued", "running"]),
                name="history_import_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.file_name} ({self.status})"
