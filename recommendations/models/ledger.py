"""What was shown: one row per answered request."""

import uuid
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils import timezone

from accounts.models import Listener


class RecommendationQuerySet(models.QuerySet["Recommendation"]):
    """Reads of the ledger."""

    def of(self, listener: Listener) -> Self:
        """Return what this listener was shown."""
        return self.filter(listener=listener)

    def by_policy(self) -> Self:
        """Return the slates that a policy decided, and not those that a row is fixed to."""
        return self.exclude(policy__startswith=ROW_POLICY)


ROW_POLICY = "row_"
"""What the policies of fixed rows begin with; no experiment or bandit has a part in them."""


class Recommendation(models.Model):
    """A slate with everything needed to explain it, to credit it and to replay it. Append-only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    listener = models.ForeignKey(Listener, null=True, on_delete=models.SET_NULL, db_index=False)
    created_at = models.DateTimeField(default=timezone.now)
    policy = models.CharField(max_length=64)
    experiment = models.CharField(max_length=64, blank=True)
    variant = models.CharField(max_length=64, blank=True)
    strategy = models.CharField(max_length=32, help_text="the one that was served")
    chosen_strategy = models.CharField(max_length=32, help_text="the one the policy asked for")
    propensity = models.FloatField(help_text="probability of the chosen strategy under the policy")
    probabilities = models.JSONField(default=dict, help_text="by arm, where the bandit chose")
    fallback = models.CharField(max_length=64, blank=True, help_text="why another was served")
    model_version = models.ForeignKey(
        "recommendations.ModelVersion", null=True, on_delete=models.PROTECT
    )
    tracks = ArrayField(models.BigIntegerField(), help_text="primary keys, best first")
    scores = ArrayField(models.FloatField(), help_text="of the strategy, one per track")
    predictions = ArrayField(models.FloatField(), default=list, help_text="expected ratings")
    context = models.JSONField(default=dict, help_text="mood, device and the other wishes")
    latency_ms = models.FloatField()

    objects = RecommendationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["listener", "-created_at"]),
            BrinIndex(fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return str(self.id)
