"""Effects that a committed row still owes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Count, Min, Q
from django.utils import timezone


@dataclass(frozen=True)
class Backlog:
    """How far effects lag behind.

    Attributes:
        n_open: effects owed, those that wait for a person included.
        n_dead: of them, those that wait for a person.
        oldest_seconds: age of the oldest one that is tried by itself; 0 without one.
    """

    n_open: int
    n_dead: int
    oldest_seconds: float


class OutboxQuerySet(models.QuerySet["OutboxEvent"]):
    """Reads of the outbox."""

    def open(self) -> Self:
        """Return what still has to take effect."""
        return self.filter(closed_at=None)

    def dead(self) -> Self:
        """Return what failed too often to be tried again by itself."""
        return self.open().filter(attempts__gte=OutboxEvent.MAX_ATTEMPTS)

    def backlog(self, *, at: datetime) -> Backlog:
        """Return how far effects lag behind; one query over the open ones."""
        is_dead = Q(attempts__gte=OutboxEvent.MAX_ATTEMPTS)
        row = self.open().aggregate(
            n=Count("pk"),
            dead=Count("pk", filter=is_dead),
            oldest=Min("created_at", filter=~is_dead),
        )
        oldest = (at - row["oldest"]).total_seconds() if row["oldest"] else 0.0
        return Backlog(row["n"], row["dead"], max(oldest, 0.0))


class OutboxEvent(models.Model):
    """A slate, a response or its retraction, whose effects are to be applied once.

    Effects are those on bandit, experiments and trend.  The row is written with the row it speaks
    of, and closed in the transaction of its effects.
    """

    MAX_ATTEMPTS = 8

    class Kind(models.TextChoices):
        """What happened."""

        SLATE = "slate"
        FEEDBACK = "feedback"
        RETRACTION = "retraction"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    recommendation = models.ForeignKey(
        "recommendations.Recommendation", null=True, on_delete=models.CASCADE
    )
    feedback = models.ForeignKey("recommendations.Feedback", null=True, on_delete=models.CASCADE)
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.TextField(blank=True)
    closed_at = models.DateTimeField(null=True)

    objects = OutboxQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], condition=Q(closed_at=None), name="outbox_open"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
