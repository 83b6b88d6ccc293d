"""Sums that pages read, filled by the resumable roll-up."""

from typing import Self

import numpy as np
from django.db import models
from django.db.models import Sum

from experiments.core.moments import Moments
from experiments.models.enrolment import Phase
from experiments.models.planning import Metric, Variant

SUMS = ("sum_m", "sum_d", "sum_pm", "sum_pd")
PRODUCTS = {
    (0, 0): "sum_m_m",
    (0, 1): "sum_m_d",
    (0, 2): "sum_m_pm",
    (0, 3): "sum_m_pd",
    (1, 1): "sum_d_d",
    (1, 2): "sum_d_pm",
    (1, 3): "sum_d_pd",
    (2, 2): "sum_pm_pm",
    (2, 3): "sum_pm_pd",
    (3, 3): "sum_pd_pd",
}
COLUMNS = ("n", *SUMS, *PRODUCTS.values())


def moments_of(row: dict[str, float]) -> Moments:
    """Return the core's moments of a row of sums."""
    products = np.zeros((4, 4))
    for (i, j), name in PRODUCTS.items():
        products[i, j] = products[j, i] = row[name]
    return Moments(int(row["n"]), np.array([row[name] for name in SUMS]), products)


class MomentsQuerySet(models.QuerySet):
    """Reads of sums."""

    def of_phase(self, phase: Phase) -> Self:
        """Return those of a phase."""
        return self.filter(phase=phase)

    def added(self, *keys: str) -> dict[tuple, Moments]:
        """Return moments added up over everything but `keys`, in one query."""
        sums = {f"total_{name}": Sum(name) for name in COLUMNS}
        rows = self.order_by().values(*keys).annotate(**sums)
        return {
            tuple(row[key] for key in keys): moments_of(
                {name: row[f"total_{name}"] for name in COLUMNS}
            )
            for row in rows
        }


class MomentColumns(models.Model):
    """Count, sums and cross products: m, d after exposure, pm, pd before it."""

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, db_index=False)
    metric = models.ForeignKey(Metric, on_delete=models.CASCADE, db_index=False)
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, db_index=False)
    n = models.BigIntegerField()
    sum_m = models.FloatField()
    sum_d = models.FloatField()
    sum_pm = models.FloatField()
    sum_pd = models.FloatField()
    sum_m_m = models.FloatField()
    sum_m_d = models.FloatField()
    sum_m_pm = models.FloatField()
    sum_m_pd = models.FloatField()
    sum_d_d = models.FloatField()
    sum_d_pm = models.FloatField()
    sum_d_pd = models.FloatField()
    sum_pm_pm = models.FloatField()
    sum_pm_pd = models.FloatField()
    sum_pd_pd = models.FloatField()

    objects = MomentsQuerySet.as_manager()

    class Meta:
        abstract = True


class CohortMoments(MomentColumns):
    """The newest sums of a metric, by day of exposure and segment."""

    exposed_on = models.DateField()
    segment = models.CharField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["phase", "metric", "variant", "exposed_on", "segment"],
                name="one_cohort_row",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metric_id} of {self.variant_id} from {self.exposed_on}"


class TrendPoint(MomentColumns):
    """The sums of a metric over everybody, as they stood on a day."""

    as_of = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["phase", "metric", "variant", "as_of"], name="one_trend_point"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metric_id} of {self.variant_id} as of {self.as_of}"


class ExposureCount(models.Model):
    """Listeners exposed, by variant, day and segment."""

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, db_index=False)
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, db_index=False)
    exposed_on = models.DateField()
    segment = models.CharField(max_length=32)
    n = models.BigIntegerField()
    fallbacks = models.BigIntegerField()
    multiples = models.BigIntegerField()
    simulated = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["phase", "variant", "exposed_on", "segment"], name="one_exposure_count"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.n} of {self.variant_id} on {self.exposed_on}"


class RollUp(models.Model):
    """One pass over all live phases; a pass that was cut off is taken up where it stopped."""

    as_of = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                models.Value(1), condition=models.Q(finished_at=None), name="one_open_roll_up"
            ),
        ]

    def __str__(self) -> str:
        return f"roll-up as of {self.as_of:%Y-%m-%d %H:%M}"


class RollUpStep(models.Model):
    """One piece of a pass: a phase's exposures, one of its metrics, or the judgement at its end."""

    MAX_ATTEMPTS = 3

    class Kind(models.TextChoices):
        """What is to be done."""

        COUNT = "count"
        METRIC = "metric"
        JUDGE = "judge"

    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.METRIC)

    roll_up = models.ForeignKey(RollUp, on_delete=models.CASCADE, related_name="steps")
    phase = models.ForeignKey(Phase, on_delete=models.CASCADE)
    metric = models.ForeignKey(Metric, null=True, on_delete=models.CASCADE)
    attempts = models.PositiveSmallIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    seconds = models.FloatField(null=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"step {self.pk} of {self.roll_up_id}"
