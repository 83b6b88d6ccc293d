"""Bandits, their arms, what each arm has learned, and every decision with its probabilities."""

from datetime import datetime, timedelta
from typing import Any, Self

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Count, F, OuterRef, Q, Sum
from django.db.models.functions import Extract, JSONObject
from django.utils import timezone
from simple_history.models import HistoricalRecords

from accounts.models import Listener
from bandits.core.context import DIMENSION, N_FEATURES, SCHEMA_VERSION
from bandits.core.statistics import Statistics


def _first_epochs() -> list[int]:
    return [1]


class Bandit(models.Model):
    """A choice among arms that is made anew at every request, and its settings."""

    class PolicyKind(models.TextChoices):
        """How probabilities follow from what was learned."""

        LINEAR = "linear", "Thompson sampling, linear reward"
        LOGISTIC = "logistic", "Thompson sampling, logistic reward"
        UNIFORM = "uniform", "every eligible arm alike"

    key = models.SlugField(max_length=64, unique=True)
    policy = models.CharField(max_length=10, choices=PolicyKind.choices, default=PolicyKind.LINEAR)
    floor = models.FloatField(
        default=0.02,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="least probability of an eligible arm; above 0 every arm stays comparable",
    )
    exploration = models.FloatField(
        default=0.1,
        validators=[MinValueValidator(0.01), MaxValueValidator(10)],
        help_text="factor on the posterior's standard deviations; 1 is Thompson's rule, "
        "less is greedier",
    )
    prior_precision = models.FloatField(
        default=2.0,
        validators=[MinValueValidator(1e-3), MaxValueValidator(1e6)],
        help_text="rewards that the prior is worth, per feature",
    )
    half_life = models.DurationField(
        null=True,
        blank=True,
        default=timedelta(days=30),
        validators=[MinValueValidator(timedelta(minutes=1))],
        help_text="after which a reward counts half; empty: nothing is forgotten",
    )
    attribution_window = models.DurationField(
        default=timedelta(minutes=30),
        validators=[MinValueValidator(timedelta(seconds=1))],
        help_text="how long a decision waits for a response before its reward is 0",
    )
    pinned_arm = models.ForeignKey(
        "Arm",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="gets all traffic while it is eligible",
    )
    version = models.PositiveIntegerField(
        default=1, editable=False, help_text="counts changes of settings and arms"
    )
    epoch = models.PositiveIntegerField(
        default=1, editable=False, help_text="written into new decisions; a reset begins a new one"
    )
    epochs = ArrayField(
        models.PositiveIntegerField(),
        default=_first_epochs,
        editable=False,
        help_text="whose decisions the posterior counts",
    )
    rebuild_due = models.BooleanField(
        default=False,
        editable=False,
        help_text="the past is to be computed anew, as though the settings had always been these",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    history = HistoricalRecords()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(floor__range=(0, 1)), name="bandit_floor_in_0_1"),
            models.CheckConstraint(
                condition=Q(exploration__gt=0) & Q(prior_precision__gt=0),
                name="bandit_exploration_and_prior_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def half_life_seconds(self) -> float:
        """Half-life in seconds, infinite where nothing is forgotten."""
        return self.half_life.total_seconds() if self.half_life else float("inf")


class ArmQuerySet(models.QuerySet["Arm"]):
    """Reads of arms."""

    def with_sums(self) -> Self:
        """Add `pending`: reward changes that the stored sums do not hold yet.

        One statement, hence one snapshot: a fold that commits meanwhile is seen whole or not at
        all, and no reward is missed or counted twice.
        """
        pending = Decision.objects.pending().filter(
            bandit=OuterRef("bandit"), served_arm=OuterRef("key")
        )
        return self.select_related("learned").annotate(
            pending=ArraySubquery(
                pending.values(
                    row=JSONObject(
                        context="context",
                        at=Extract("decided_at", "epoch"),
                        before="folded_reward",
                        after="reward",
                    )
                )
            )
        )


class Arm(models.Model):
    """One of the things a bandit may choose; what it stands for only the caller knows."""

    class Status(models.TextChoices):
        """Whether the arm may be chosen."""

        ACTIVE = "active"
        PAUSED = "paused"
        RETIRED = "retired"

    bandit = models.ForeignKey(Bandit, on_delete=models.CASCADE, related_name="arms")
    key = models.SlugField(max_length=64)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    position = models.PositiveSmallIntegerField(default=0, help_text="order on pages")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    history = HistoricalRecords()

    objects = ArmQuerySet.as_manager()

    class Meta:
        ordering = ["bandit", "position", "key"]
        constraints = [
            models.UniqueConstraint(fields=["bandit", "key"], name="arm_unique_in_bandit")
        ]

    def __str__(self) -> str:
        return self.key


class Learned(models.Model):
    """What an arm has learned: its sums, with every reward change up to the last fold.

    Written by `bandits.services` alone.
    """

    arm = models.OneToOneField(
        Arm, primary_key=True, on_delete=models.CASCADE, related_name="learned"
    )
    schema_version = models.PositiveSmallIntegerField(default=SCHEMA_VERSION)
    sums = models.BinaryField(help_text="`Statistics.to_bytes`")
    reference = models.FloatField(help_text="time to which the sums' weights refer, Unix seconds")
    half_life = models.FloatField(help_text="seconds, with which the sums were made")
    prior_mean = ArrayField(
        models.FloatField(), null=True, help_text="from which a warm start began; empty: 0.5"
    )
    mode = ArrayField(models.FloatField(), null=True, help_text="logistic policy: its weights")
    covariance = models.BinaryField(null=True, help_text="logistic policy: float64, row by row")
    folded_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "learned"

    def __str__(self) -> str:
        return f"what {self.arm_id} learned"

    def statistics(self) -> Statistics:
        """Return the sums as the core knows them."""
        return Statistics.from_bytes(
            bytes(self.sums), DIMENSION, reference=self.reference, half_life=self.half_life
        )


class Archive(models.Model):
    """What a bandit had learned when it was reset; can be put back once."""

    bandit = models.ForeignKey(Bandit, on_delete=models.CASCADE, related_name="archives")
    archived_at = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=200, blank=True)
    epochs = ArrayField(models.PositiveIntegerField())
    schema_version = models.PositiveSmallIntegerField()
    restored_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-archived_at"]

    def __str__(self) -> str:
        return f"{self.bandit} until {self.archived_at:%Y-%m-%d %H:%M}"


class ArchivedArm(models.Model):
    """One arm of an archive, with the fields of `Learned`."""

    archive = models.ForeignKey(Archive, on_delete=models.CASCADE, related_name="arms")
    arm = models.ForeignKey(Arm, on_delete=models.CASCADE, related_name="+")
    sums = models.BinaryField()
    reference = models.FloatField()
    half_life = models.FloatField()
    prior_mean = ArrayField(models.FloatField(), null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["archive", "arm"], name="archived_arm_once")]

    def __str__(self) -> str:
        return f"{self.arm_id} in {self.archive_id}"

    def statistics(self) -> Statistics:
        """Return the sums as the core knows them."""
        return Statistics.from_bytes(
            bytes(self.sums), DIMENSION, reference=self.reference, half_life=self.half_life
        )


class DecisionQuerySet(models.QuerySet["Decision"]):
    """Reads of decisions."""

    def counted(self) -> Self:
        """Return those that the posterior counts once they have a reward.

        What was decided before a reset, or described by another context schema, is not.
        """
        return self.filter(bandit__epochs__contains=[F("epoch")], schema_version=SCHEMA_VERSION)

    def pending(self) -> Self:
        """Return the counted ones whose reward changed since it was last folded into the sums."""
        return self.counted().filter(unfolded=True)

    def rewarded(self) -> Self:
        """Return those with a reward, provisional or final."""
        return self.exclude(reward=None)

    def waiting(self) -> Self:
        """Return those without a response whose window is still open."""
        return self.filter(state=Decision.State.WAITING)

    def settled(self, *, before: datetime) -> Self:
        """Return those decided at or before `before` whose reward is final."""
        return self.filter(
            decided_at__lte=before, state__in=[Decision.State.FINAL, Decision.State.EXPIRED]
        )

    def due(self, *, before: datetime) -> Self:
        """Return those still open though decided at or before `before`."""
        return self.filter(
            state__in=[Decision.State.WAITING, Decision.State.PROVISIONAL],
            decided_at__lte=before,
        )

    def by_arm(self) -> models.QuerySet["Decision", dict[str, Any]]:
        """Count and sum per chosen arm, in one pass."""
        return (
            self.values("arm")
            .annotate(
                pulls=Count("pk"),
                rewarded=Count("reward"),
                total=Sum("reward"),
                squares=Sum(F("reward") * F("reward")),
                waiting=Count("pk", filter=Q(state=Decision.State.WAITING)),
                explored=Count("pk", filter=Q(explored=True)),
                fallbacks=Count("pk", filter=~Q(served_arm=F("arm"))),
            )
            .order_by("arm")
        )


class Decision(models.Model):
    """One choice with all it takes to replay it, and the reward it earned.

    Arms are kept by name, not by foreign key: the row must read the same when arms come and go.
    """

    class State(models.TextChoices):
        """What is known of the reward."""

        WAITING = "waiting", "no response yet"
        PROVISIONAL = "provisional", "from the responses so far"
        FINAL = "final", "will not change by itself"
        EXPIRED = "expired", "no response within the window: 0"

    request_id = models.UUIDField(primary_key=True)
    bandit = models.ForeignKey(
        Bandit, on_delete=models.PROTECT, related_name="decisions", db_index=False
    )
    bandit_version = models.PositiveIntegerField()
    epoch = models.PositiveIntegerField()
    listener = models.ForeignKey(
        Listener,
        null=True,
        on_delete=models.SET_NULL,
        related_name="bandit_decisions",
        db_index=False,
    )
    decided_at = models.DateTimeField()
    schema_version = models.PositiveSmallIntegerField()
    context = ArrayField(models.FloatField(), size=N_FEATURES)
    eligible = ArrayField(models.CharField(max_length=64), help_text="arms, in order of the rest")
    means = ArrayField(models.FloatField(), help_text="of the scores; empty where there are none")
    sds = ArrayField(models.FloatField(), help_text="of the scores, as drawn from")
    floor = models.FloatField()
    probabilities = ArrayField(models.FloatField())
    nonce = models.FloatField(help_text="uniform in [0, 1), from the request id")
    arm = models.CharField(max_length=64)
    served_arm = models.CharField(
        max_length=64, help_text="what was really served; another than `arm` after a fall-back"
    )
    explored = models.BooleanField(help_text="not the arm with the largest expected reward")
    reward = models.FloatField(null=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.WAITING)
    rewarded_at = models.DateTimeField(null=True)
    folded_reward = models.FloatField(null=True, help_text="the reward that the sums hold")
    unfolded = models.BooleanField(default=False, help_text="reward and folded reward differ")

    objects = DecisionQuerySet.as_manager()

    class Meta:
        indexes = [
            BrinIndex(fields=["decided_at"]),
            models.Index(
                fields=["bandit", "served_arm"],
                condition=Q(unfolded=True),
                name="decision_unfolded",
            ),
            models.Index(
                fields=["bandit", "decided_at"],
                condition=Q(state__in=["waiting", "provisional"]),
                name="decision_open",
            ),
            models.Index(fields=["bandit", "-decided_at"], name="decision_newest"),
            models.Index(fields=["listener"], name="decision_listener"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(reward=None) | Q(reward__range=(0, 1)), name="decision_reward_in_0_1"
            ),
            models.CheckConstraint(
                condition=Q(state="waiting", reward=None)
                | Q(~Q(state="waiting"), reward__isnull=False),
                name="decision_waits_without_reward",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.arm} for {self.request_id}"

    @property
    def propensity(self) -> float:
        """Logged probability of the chosen arm."""
        return self.probabilities[self.eligible.index(self.arm)]


class Snapshot(models.Model):
    """A report on a bandit as it was computed at a time; see `bandits.reports`."""

    bandit = models.ForeignKey(Bandit, on_delete=models.CASCADE, related_name="snapshots")
    taken_at = models.DateTimeField()
    report = models.JSONField()

    class Meta:
        ordering = ["-taken_at"]
        constraints = [models.UniqueConstraint(fields=["bandit", "taken_at"], name="snapshot_once")]

    def __str__(self) -> str:
        return f"{self.bandit_id} at {self.taken_at:%Y-%m-%d %H:%M}"
