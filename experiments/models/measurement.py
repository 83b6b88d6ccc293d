"""What listeners did, as sums: written once per event, never recounted on a page."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from accounts.models import Listener
from experiments.models.enrolment import Exposure, Phase
from experiments.models.planning import Metric, Variant


class AppliedEvent(models.Model):
    """An event whose effect is in the sums; a repeat finds its key here and does nothing.

    A retracted one adds nothing, whether it came before its retraction or comes after it.
    """

    event_key = models.CharField(primary_key=True, max_length=100)
    accepted_at = models.DateTimeField(help_text="of the event, or of its retraction")
    is_retracted = models.BooleanField(default=False)

    class Meta:
        indexes = [BrinIndex(fields=["accepted_at"])]

    def __str__(self) -> str:
        return self.event_key


class KeyHorizon(models.Model):
    """The one row that says since when keys are kept; what was accepted before is in the sums."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    since = models.DateTimeField()

    def __str__(self) -> str:
        return f"keys since {self.since:%Y-%m-%d}"


class ListenerDay(models.Model):
    """What one metric came to for a listener on a UTC day, in or out of experiments."""

    listener = models.ForeignKey(Listener, on_delete=models.CASCADE, db_index=False)
    metric = models.ForeignKey(Metric, on_delete=models.CASCADE, db_index=False)
    day = models.DateField()
    numerator = models.FloatField()
    denominator = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["listener", "metric", "day"], name="one_day_row"),
        ]

    def __str__(self) -> str:
        return f"{self.metric_id} of {self.listener_id} on {self.day}"


class ListenerTotal(models.Model):
    """What one metric came to for an exposed listener, after exposure and in the window before.

    Variant, day and segment are repeated from the exposure, so that one grouped query without a
    join gives every sum.  Increments are multiples of 2^-20, so that additions of doubles are
    exact and their order does not matter.
    """

    exposure = models.ForeignKey(Exposure, on_delete=models.CASCADE, db_index=False)
    metric = models.ForeignKey(Metric, on_delete=models.PROTECT, db_index=False)
    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, db_index=False)
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, db_index=False)
    exposed_at = models.DateTimeField()
    segment = models.CharField(max_length=32)
    numerator = models.FloatField(default=0)
    denominator = models.FloatField(default=0)
    pre_numerator = models.FloatField(default=0)
    pre_denominator = models.FloatField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exposure", "metric"], name="one_total"),
        ]
        indexes = [models.Index(fields=["phase", "metric"])]

    def __str__(self) -> str:
        return f"{self.metric_id} of exposure {self.exposure_id}"


class SeenValue(models.Model):
    """What counts once for an exposure however many events say it: an artist, a slate, a return."""

    exposure = models.ForeignKey(Exposure, on_delete=models.CASCADE, db_index=False)
    metric = models.ForeignKey(Metric, on_delete=models.CASCADE, db_index=False)
    value = models.CharField(max_length=64)
    n = models.PositiveIntegerField(default=1, help_text="events that gave it")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exposure", "metric", "value"], name="value_once"),
        ]

    def __str__(self) -> str:
        return f"{self.value} of exposure {self.exposure_id}"
