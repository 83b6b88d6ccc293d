"""What an operator decides: experiments, their variants, metrics, and who gets what without one."""

import uuid
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from experiments.core.measures import DENOMINATORS, NUMERATORS

SHARE = [MinValueValidator(0), MaxValueValidator(1)]
ASCII = RegexValidator(r"^[\x21-\x7e]*$", "Only ASCII without spaces: it is hashed.")
LOCKED = "A running experiment's %s cannot be edited: begin a new phase, which randomizes anew."


class AssignmentSettings(models.Model):
    """The one row that says what a listener gets outside of every experiment.

    `version` changes whenever this table, an experiment, a variant or a phase does: a trigger in
    the database sees to it, so that no way of writing is missed.
    """

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    default_policy = models.CharField(
        max_length=64, default="neural_cf", help_text="served where no experiment applies"
    )
    experiments_enabled = models.BooleanField(
        default=True, help_text="off is the kill switch: everybody gets the default policy"
    )
    holdout_share = models.FloatField(
        default=0, validators=SHARE, help_text="of listeners, whom no experiment touches"
    )
    holdout_seed = models.CharField(max_length=64, default="holdout", validators=[ASCII])
    holdout_policy = models.CharField(
        max_length=64, blank=True, help_text="kept for the held out; empty for the default policy"
    )
    version = models.UUIDField(default=uuid.uuid4, editable=False)
    history = HistoricalRecords(excluded_fields=["version"])

    class Meta:
        verbose_name_plural = "assignment settings"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="assignment_settings_one_row"),
            models.CheckConstraint(
                condition=Q(holdout_share__range=(0, 1)), name="holdout_share_in_0_1"
            ),
        ]

    def __str__(self) -> str:
        return "assignment settings"


class Metric(models.Model):
    """A number per listener, after exposure: a mean, a share, or a ratio of two sums."""

    class Kind(models.TextChoices):
        """How listeners' values come together."""

        MEAN = "mean"
        PROPORTION = "proportion"
        RATIO = "ratio"

    key = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    numerator = models.CharField(max_length=30, choices=[(key, key) for key in NUMERATORS])
    denominator = models.CharField(
        max_length=30, choices=[(key, key) for key in DENOMINATORS], default="listeners"
    )
    higher_is_better = models.BooleanField(default=True)
    window_hours = models.PositiveIntegerField(
        null=True, blank=True, help_text="after exposure; empty for the whole phase"
    )
    lookback_days = models.PositiveSmallIntegerField(
        default=14, help_text="before the day of exposure, for CUPED"
    )
    cap_percentile = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(50), MaxValueValidator(100)],
        help_text="of the listeners above 0; values beyond are set to it",
    )
    mature_only = models.BooleanField(
        default=False, help_text="count only listeners whose window is over"
    )
    unit = models.CharField(max_length=20, blank=True, help_text="%, stars, ms")
    history = HistoricalRecords()

    class Meta:
        ordering = ["key"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="ratio") | Q(denominator="listeners"),
                name="only_ratios_have_a_denominator",
            ),
            models.CheckConstraint(
                condition=Q(mature_only=False) | Q(window_hours__isnull=False),
                name="maturity_needs_a_window",
            ),
            models.CheckConstraint(
                condition=Q(cap_percentile=None) | Q(cap_percentile__range=(50, 100)),
                name="cap_percentile_in_50_100",
            ),
        ]

    def __str__(self) -> str:
        return self.key

    def clean(self) -> None:
        """Refuse to change what a running experiment is measured by."""
        if self.pk and Experiment.objects.under_way().filter(metrics=self).exists():
            before = Metric.objects.get(pk=self.pk)
            names = [f.attname for f in self._meta.fields if f.attname not in FREE_TEXT_OF_METRIC]
            if any(getattr(before, name) != getattr(self, name) for name in names):
                raise ValidationError(LOCKED % "metrics")


FREE_TEXT_OF_METRIC = {"name", "description", "unit"}


class ExperimentQuerySet(models.QuerySet["Experiment"]):
    """Reads of experiments."""

    def running(self) -> Self:
        """Return those that assign listeners now."""
        return self.filter(status=Experiment.Status.RUNNING)

    def under_way(self) -> Self:
        """Return those whose plan is fixed: running or paused."""
        return self.filter(status__in=[Experiment.Status.RUNNING, Experiment.Status.PAUSED])

    def for_list(self) -> Self:
        """Return them with what the list shows, newest first, in three queries."""
        return self.order_by("-created_at").prefetch_related("variants", "phases")


class Experiment(models.Model):
    """A question about policies, and the plan by which listeners answer it."""

    class Status(models.TextChoices):
        """Where it is in its life."""

        DRAFT = "draft"
        RUNNING = "running"
        PAUSED = "paused"
        STOPPED = "stopped"

    class Visitor(models.TextChoices):
        """Whom it enrols, by whether they have been here before."""

        ANY = "any"
        NEW = "new"
        RETURNING = "returning"

    class Method(models.TextChoices):
        """How intervals are made."""

        SEQUENTIAL = "sequential", "sequential: may be looked at any time"
        FIXED = "fixed", "fixed: speaks once, at the planned end"
        HYBRID = "hybrid", "hybrid: half of alpha for looks, half for the end"

    class Correction(models.TextChoices):
        """How p-values of several comparisons are corrected."""

        HOLM = "holm", "Holm (family-wise error)"
        BENJAMINI_HOCHBERG = "bh", "Benjamini-Hochberg (false discoveries)"
        NONE = "none", "none"

    key = models.SlugField(unique=True)
    hypothesis = models.TextField()
    status = models.CharField(
        max_length=10, choices=Status.choices, default=Status.DRAFT, editable=False
    )
    phase_number = models.PositiveSmallIntegerField(default=1, editable=False)
    seed = models.CharField(
        max_length=64, blank=True, validators=[ASCII], help_text="of the hash; empty for the key"
    )
    layer = models.SlugField(
        default="policy", help_text="experiments that share a layer exclude each other"
    )
    layer_start = models.FloatField(default=0, validators=SHARE)
    layer_end = models.FloatField(default=1, validators=SHARE)
    coverage = models.FloatField(
        default=1, validators=SHARE, help_text="share of the eligible who are enrolled"
    )
    visitor = models.CharField(max_length=10, choices=Visitor.choices, default=Visitor.ANY)
    devices = ArrayField(
        models.CharField(max_length=20), default=list, blank=True, help_text="empty for all"
    )
    countries = ArrayField(
        models.CharField(max_length=2), default=list, blank=True, help_text="empty for all"
    )
    min_account_age_days = models.PositiveIntegerField(null=True, blank=True)
    max_account_age_days = models.PositiveIntegerField(null=True, blank=True)
    metrics = models.ManyToManyField(Metric, through="ExperimentMetric", related_name="+")
    smallest_effect = models.FloatField(
        default=0.05,
        validators=[MinValueValidator(0.0001), MaxValueValidator(10)],
        help_text="relative change of the goal worth having",
    )
    planned_listeners = models.PositiveIntegerField(
        default=8000, validators=[MinValueValidator(10)], help_text="over all variants"
    )
    min_days = models.PositiveSmallIntegerField(default=7)
    alpha = models.FloatField(
        default=0.05, validators=[MinValueValidator(0.0001), MaxValueValidator(0.5)]
    )
    method = models.CharField(max_length=10, choices=Method.choices, default=Method.SEQUENTIAL)
    correction = models.CharField(
        max_length=10, choices=Correction.choices, default=Correction.HOLM
    )
    ships_by_itself = models.BooleanField(
        default=False, help_text="make a winner's policy the default without being asked"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords()

    objects = ExperimentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        permissions = [
            ("run_experiment", "Can start, pause, stop and begin phases of experiments"),
            ("ship_experiment", "Can make a variant's policy the default"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(coverage__range=(0, 1)), name="coverage_in_0_1"),
            models.CheckConstraint(
                condition=Q(layer_start__gte=0, layer_end__lte=1, layer_start__lt=F("layer_end")),
                name="layer_range_in_0_1",
            ),
            models.CheckConstraint(
                condition=Q(alpha__gt=0, alpha__lt=1), name="experiment_alpha_in_0_1"
            ),
            models.CheckConstraint(
                condition=Q(smallest_effect__gt=0), name="smallest_effect_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def is_locked(self) -> bool:
        """Whether variants, seed and metrics are fixed."""
        return self.status in (self.Status.RUNNING, self.Status.PAUSED)

    @property
    def phase_seed(self) -> str:
        """What the hash of the phase in preparation or under way is seeded with."""
        seed = self.seed or self.key
        return seed if self.phase_number == 1 else f"{seed}:{self.phase_number}"

    def clean(self) -> None:
        """Refuse to edit the plan of a running experiment."""
        if self.pk and self.is_locked:
            before = Experiment.objects.get(pk=self.pk)
            changed = [
                field.verbose_name
                for field in self._meta.fields
                if field.attname not in EDITABLE_WHILE_RUNNING
                and getattr(before, field.attname) != getattr(self, field.attname)
            ]
            if changed:
                raise ValidationError(LOCKED % ", ".join(changed))


# Coverage has an act of its own; the rest does not touch who is in or what is measured.
EDITABLE_WHILE_RUNNING = {"hypothesis", "status", "phase_number", "coverage", "ships_by_itself"}


class Variant(models.Model):
    """A policy for a share of the listeners; position 0 is the baseline."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="variants")
    key = models.SlugField()
    policy = models.CharField(max_length=64)
    weight = models.FloatField(validators=SHARE)
    position = models.PositiveSmallIntegerField(default=0)
    stopped_at = models.DateTimeField(null=True, blank=True, editable=False)
    stop_reason = models.TextField(blank=True, editable=False)
    history = HistoricalRecords()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "key"], name="variant_key_once"),
            models.UniqueConstraint(
                fields=["experiment", "position"],
                name="variant_position_once",
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.CheckConstraint(condition=Q(weight__range=(0, 1)), name="variant_weight_in_0_1"),
        ]

    def __str__(self) -> str:
        return f"{self.experiment_id}/{self.key}"

    def clean(self) -> None:
        """Refuse to edit a variant of a running experiment."""
        experiment = Experiment.objects.filter(pk=self.experiment_id).first()
        if experiment is None or not experiment.is_locked:
            return
        before = Variant.objects.filter(pk=self.pk).first()
        fields = ("key", "policy", "weight", "position")
        if before is None or any(getattr(before, f) != getattr(self, f) for f in fields):
            raise ValidationError(LOCKED % "variants")


class ExperimentMetric(models.Model):
    """What an experiment is judged by."""

    class Role(models.TextChoices):
        """How the metric counts."""

        GOAL = "goal"
        GUARDRAIL = "guardrail"
        SECONDARY = "secondary"

    experiment = models.ForeignKey(
        Experiment, on_delete=models.CASCADE, related_name="metric_roles"
    )
    metric = models.ForeignKey(Metric, on_delete=models.PROTECT)
    role = models.CharField(max_length=10, choices=Role.choices)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "metric"], name="metric_once"),
            models.UniqueConstraint(
                fields=["experiment"], condition=Q(role="goal"), name="one_goal"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metric_id} as {self.role}"

    def clean(self) -> None:
        """Refuse to change what a running experiment is judged by."""
        experiment = Experiment.objects.filter(pk=self.experiment_id).first()
        if experiment is None or not experiment.is_locked:
            return
        before = ExperimentMetric.objects.filter(pk=self.pk).first()
        if before is None or (before.metric_id, before.role) != (self.metric_id, self.role):
            raise ValidationError(LOCKED % "metrics")
