"""Who met which variant, in which run of an experiment."""

from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models
from django.db.models import OuterRef, Q, Subquery, Value
from django.db.models.functions import Least

from accounts.models import Listener
from experiments.models.planning import Experiment, ExperimentMetric, Variant


def _first_stop(variant: str, *, since: Any) -> Subquery:
    """Return a column: when a variant was first stopped since a time, the start of a phase.

    Of its history, because a new phase takes a stopped variant up again.
    """
    stops = Variant.history.filter(id=OuterRef(variant), stopped_at__gte=since)
    return Subquery(stops.order_by("stopped_at").values("stopped_at")[:1])


class PhaseQuerySet(models.QuerySet["Phase"]):
    """Reads of phases."""

    def open(self) -> Self:
        """Return those that have not ended."""
        return self.filter(ended_at=None)

    def measured_at(self, at: datetime, *, longest_window_days: int = 60) -> Self:
        """Return those whose numbers may still change at `at`."""
        since = at - timedelta(days=longest_window_days)
        return self.filter(Q(ended_at=None) | Q(ended_at__gt=since)).select_related("experiment")


class Phase(models.Model):
    """One randomization of an experiment, with what was fixed when it began."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="phases")
    number = models.PositiveSmallIntegerField()
    seed = models.CharField(max_length=80)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.TextField(blank=True)
    planned_listeners = models.PositiveIntegerField()
    weights = models.JSONField(help_text="by variant key, as they were at the start")
    metric_roles = models.JSONField(help_text="role by metric key, as they were at the start")
    planned_end_at = models.DateTimeField(
        null=True, help_text="when listeners and days of the plan were first both there"
    )
    looks = models.PositiveIntegerField(default=0, help_text="how often the numbers were judged")
    verdict = models.CharField(max_length=20, blank=True)
    verdict_words = models.TextField(blank=True)
    verdict_variant = models.CharField(max_length=50, blank=True)
    listeners_left = models.PositiveIntegerField(null=True)
    days_left = models.PositiveIntegerField(null=True)
    checks = models.JSONField(default=list, help_text="of health, as they were judged")
    judged_at = models.DateTimeField(null=True)

    objects = PhaseQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "number"], name="phase_number_once"),
            models.UniqueConstraint(
                fields=["experiment"], condition=Q(ended_at=None), name="one_open_phase"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.experiment_id} phase {self.number}"

    @property
    def guardrails(self) -> list[str]:
        """Keys of the metrics that must not get worse."""
        role = ExperimentMetric.Role.GUARDRAIL
        return [key for key, given in self.metric_roles.items() if given == role]

    def ends(self) -> dict[int, datetime | None]:
        """Return by variant id what `ExposureQuerySet.with_end` says of its exposures."""
        stop = _first_stop("pk", since=self.started_at)
        ends = Least(Value(self.ended_at, models.DateTimeField()), stop)
        variants = Variant.objects.filter(experiment=self.experiment_id).order_by()
        return dict(variants.values_list("pk", ends))


class ExposureQuerySet(models.QuerySet["Exposure"]):
    """Reads of exposures."""

    def with_end(self) -> Self:
        """Return them with `ends_at`: from then on the listener was not served by the variant.

        It is when the variant was stopped or the phase ended; None while both go on.
        """
        stop = _first_stop("variant_id", since=OuterRef("phase__started_at"))
        return self.annotate(ends_at=Least("phase__ended_at", stop))


class Exposure(models.Model):
    """A listener was really served a variant, for the first time in this phase.

    It is also the sticky row: whoever has one keeps the variant.
    """

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, db_index=False)
    listener = models.ForeignKey(Listener, null=True, on_delete=models.SET_NULL)
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, db_index=False)
    exposed_at = models.DateTimeField()
    segment = models.CharField(max_length=32, help_text="new or returning / device")
    served_policy = models.CharField(max_length=64, help_text="what was really served")
    fallback = models.BooleanField(help_text="another policy had to step in")
    multiple = models.BooleanField(default=False, help_text="met another variant as well")
    history_settled = models.BooleanField(
        default=False, help_text="what the listener did before is in the totals"
    )

    objects = ExposureQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["phase", "listener"], name="exposed_once"),
        ]
        indexes = [
            models.Index(
                fields=["id"], condition=Q(history_settled=False), name="exposure_unsettled"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.listener_id} in {self.phase_id}"
