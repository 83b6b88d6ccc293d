"""What listeners do, and what is known of them because of it."""

from datetime import datetime
from typing import Any, Self

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Avg, Count, F, Q, Sum
from django.utils import timezone

from accounts.models import Listener
from recommendations.models.catalogue import Artist, Track

HEARD_KINDS = ("play", "like", "save", "rating")
"""Responses that nobody gives without having listened."""


class PlayCount(models.Model):
    """How often a listener has played a track, from a source that has only totals."""

    listener = models.ForeignKey(Listener, on_delete=models.CASCADE, db_index=False)
    track = models.ForeignKey(Track, on_delete=models.CASCADE)
    plays = models.PositiveIntegerField()
    imported_at = models.DateTimeField(default=timezone.now)
    first_imported_at = models.DateTimeField(
        null=True, help_text="when the pair's first total came, where this one replaced another"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["listener", "track"], name="one_count_per_track"),
            models.CheckConstraint(condition=Q(plays__gt=0), name="plays_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.listener_id} played {self.track_id} {self.plays} times"


class FeedbackQuerySet(models.QuerySet["Feedback"]):
    """Reads of feedback."""

    def by(self, listener: Listener) -> Self:
        """Return what this listener did."""
        return self.filter(listener=listener)

    def standing(self) -> Self:
        """Return what was not taken back."""
        return self.filter(retraction=None)

    def given_here(self) -> Self:
        """Return what was given to this system, as opposed to brought along from elsewhere."""
        return self.filter(imported=False)

    def of_listeners(self) -> Self:
        """Return what belongs to somebody; of who was erased the rows stay, and are nobody's."""
        return self.filter(listener__isnull=False)

    def heard(self) -> Self:
        """Return responses that show that a track was listened to."""
        return self.filter(kind__in=[Feedback.Kind(kind) for kind in HEARD_KINDS])

    def hiding(self, track_id: int) -> Self:
        """Return what hides a track and was not taken back, the first one first."""
        hides = self.standing().filter(track=track_id, kind=Feedback.Kind.HIDE)
        return hides.order_by("pk")

    def latest_of_each_track(self) -> Self:
        """Return of several responses to one track the one that happened last."""
        latest = self.order_by("track_id", "-occurred_at", "-pk").distinct("track_id")
        return self.model.objects.filter(pk__in=latest.values("pk"))

    def library(self, state: str) -> Self:
        """Return the response that made each track saved, liked or rated.

        Only what stands counts, and of what contradicts itself the later: who disliked a track
        after liking it does not like it.
        """
        kinds = {"saved": ["save"], "liked": ["like", "dislike"], "rated": ["rating"]}[state]
        return self.standing().filter(kind__in=kinds).latest_of_each_track().filter(kind=kinds[0])

    def by_artist(self) -> models.QuerySet["Feedback", dict[str, Any]]:
        """Count per artist, with the mean preference; most preferred first."""
        return (
            self.values(artist_id=F("track__artist_id"), artist=F("track__artist__name"))
            .annotate(n=Count("pk"), mean_preference=Avg("preference"), weight=Sum("preference"))
            .order_by("-weight", "artist_id")
            .values("artist_id", "artist", "n", "mean_preference")
        )

    def by_genre(
        self, *, per: models.Expression | None = None
    ) -> models.QuerySet["Feedback", dict[str, Any]]:
        """Sum preferences per genre, and per moment `per` as ``at``; most preferred first."""
        groups = {"genre": F("track__genres__name")} | ({"at": per} if per is not None else {})
        return (
            self.filter(track__genres__isnull=False)
            .values(**groups)
            .annotate(n=Count("pk"), weight=Sum("preference"))
            .order_by("-weight", "genre")
        )

    def matching(
        self,
        *,
        kind: str | None = None,
        q: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Self:
        """Return what is of a kind, of a track that `q` finds, and within [since, until)."""
        found = self
        if kind is not None:
            found = found.filter(kind=kind)
        if q is not None:
            found = found.filter(track__in=Track.objects.matching(q))
        if since is not None:
            found = found.filter(occurred_at__gte=since)
        if until is not None:
            found = found.filter(occurred_at__lt=until)
        return found

    def with_track(self) -> Self:
        """Load what one row of a history shows, in two queries however many there are."""
        return self.select_related("track__artist", "retraction").prefetch_related("track__genres")


class Feedback(models.Model):
    """One thing a listener did with a track. Append-only; the source of every other number.

    Where it answers a slate, the row repeats what the slate says of the track (position, strategy,
    propensity), so that training can weight by it without a join.
    """

    class Kind(models.TextChoices):
        """How the listener responded."""

        RATING = "rating"
        LIKE = "like"
        DISLIKE = "dislike"
        PLAY = "play"
        SKIP = "skip"
        SAVE = "save"
        HIDE = "hide"

    event_id = models.CharField(max_length=64)
    listener = models.ForeignKey(Listener, null=True, on_delete=models.SET_NULL, db_index=False)
    track = models.ForeignKey(Track, on_delete=models.PROTECT)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    rating = models.PositiveSmallIntegerField(null=True)
    completion = models.FloatField(null=True, help_text="share of the track heard, 0 to 1")
    preference = models.FloatField(help_text="what the response says, 0 to 1")
    recommendation = models.ForeignKey(
        "recommendations.Recommendation", null=True, on_delete=models.PROTECT
    )
    position = models.PositiveSmallIntegerField(null=True, help_text="on the slate, from 0")
    strategy = models.CharField(max_length=32, blank=True)
    propensity = models.FloatField(null=True, help_text="probability of that strategy")
    context = models.JSONField(default=dict)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)
    imported = models.BooleanField(
        db_default=False,
        help_text="from elsewhere: says what is liked, nothing of what this system did",
    )

    objects = FeedbackQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["listener", "event_id"], name="feedback_once"),
            models.CheckConstraint(
                condition=Q(kind="rating", rating__range=(1, 5))
                | (~Q(kind="rating") & Q(rating=None)),
                name="feedback_rating_1_to_5",
            ),
            models.CheckConstraint(
                condition=Q(completion=None) | Q(completion__range=(0, 1)),
                name="feedback_completion_in_0_1",
            ),
            models.CheckConstraint(
                condition=Q(preference__range=(0, 1)), name="feedback_preference_in_0_1"
            ),
        ]
        indexes = [
            models.Index(fields=["listener", "-occurred_at"]),
            BrinIndex(fields=["received_at"]),
            models.Index(
                fields=["recommendation"],
                condition=Q(recommendation__isnull=False),
                name="feedback_by_slate",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.track_id} by {self.listener_id}"


class Retraction(models.Model):
    """A response that its listener took back; the response itself stays as it was written."""

    feedback = models.OneToOneField(Feedback, primary_key=True, on_delete=models.CASCADE)
    retracted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"retraction of {self.feedback_id}"


class HiddenQuerySet(models.QuerySet["Hidden"]):
    """Reads of what is hidden."""

    def by(self, listener: Listener) -> Self:
        """Return what this listener hides, or once did."""
        return self.filter(listener=listener)

    def in_force(self, *, at: datetime) -> Self:
        """Return what is hidden at `at`."""
        return self.filter(Q(until=None) | Q(until__gt=at))

    def with_subject(self) -> Self:
        """Load the track or artist of each row, in the same query."""
        return self.select_related("track__artist", "artist", "feedback").prefetch_related(
            "track__genres"
        )


class Hidden(models.Model):
    """A track or an artist that a listener does not want to see, for a time or for good."""

    listener = models.ForeignKey(Listener, on_delete=models.CASCADE)
    track = models.ForeignKey(Track, null=True, on_delete=models.CASCADE)
    artist = models.ForeignKey(Artist, null=True, on_delete=models.CASCADE)
    until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    feedback = models.OneToOneField(
        Feedback, null=True, on_delete=models.SET_NULL, help_text="the response that hid it, if any"
    )

    objects = HiddenQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "hidden"
        constraints = [
            models.CheckConstraint(
                condition=Q(track=None, artist__isnull=False) | Q(track__isnull=False, artist=None),
                name="hidden_is_a_track_or_an_artist",
            ),
            models.UniqueConstraint(fields=["listener", "track"], name="track_hidden_once"),
            models.UniqueConstraint(fields=["listener", "artist"], name="artist_hidden_once"),
        ]

    def __str__(self) -> str:
        return f"{self.listener_id} hides {self.track or self.artist}"


class Taste(models.Model):
    """What is known of a listener now, in one row, written with each response.

    Everything here can be rebuilt from feedback, play counts and hidden tracks; it exists so that
    a request reads one row.  `history` is packed by `recommendations.core.history`; `vector` is
    the listener's folded-in embedding (float32, little-endian) for `model_version`, and is folded
    again where that is not the model that serves.
    """

    listener = models.OneToOneField(Listener, primary_key=True, on_delete=models.CASCADE)
    history = models.BinaryField(default=b"")
    hidden = models.JSONField(default=dict, help_text="tracks and artists, each with its end")
    model_version = models.ForeignKey(
        "recommendations.ModelVersion", null=True, on_delete=models.SET_NULL
    )
    vector = models.BinaryField(default=b"")
    stated_at = models.DateTimeField(
        null=True, help_text="when the stated preferences that were folded in were last set"
    )
    n_feedback = models.PositiveIntegerField(default=0)
    preference_sum = models.FloatField(default=0)
    n_plays = models.PositiveIntegerField(default=0)
    n_skips = models.PositiveIntegerField(default=0)
    last_seen_at = models.DateTimeField(null=True)
    session = models.JSONField(default=dict, help_text="start, tracks, minutes, preferences")
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"taste of {self.listener_id}"


class TrackHeat(models.Model):
    """How much a track is listened to of late: what its listeners last said, halved with time.

    `heat` is the sum of the track's `HeatShare` rows as it stood at `heat_at`, with those that were
    forgotten since they add nothing any more; `n_feedback` counts its responses that stand.
    """

    track = models.OneToOneField(Track, primary_key=True, on_delete=models.CASCADE)
    heat = models.FloatField(default=0)
    heat_at = models.DateTimeField()
    n_feedback = models.IntegerField(default=0)

    class Meta:
        verbose_name_plural = "track heat"

    def __str__(self) -> str:
        return f"heat of {self.track_id}"


class HeatShare(models.Model):
    """What a listener adds to a track's heat: the preference of the latest response that stands.

    Guarded by the lock on the track's heat.  Without constraints on what may go away: to check them
    a worker would wait for a listener who is being erased, and that one for the worker.
    """

    pk = models.CompositePrimaryKey("listener_id", "track_id")
    listener = models.ForeignKey(
        Listener, on_delete=models.CASCADE, db_constraint=False, db_index=False
    )
    track = models.ForeignKey(Track, on_delete=models.CASCADE, db_index=False)
    feedback = models.ForeignKey(
        Feedback, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    preference = models.FloatField()
    occurred_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"share of {self.listener_id} in the heat of {self.track_id}"


class HeatAllowance(models.Model):
    """How many responses of a listener, received within an hour, the trend has met."""

    pk = models.CompositePrimaryKey("listener_id", "hour")
    listener = models.ForeignKey(
        Listener, on_delete=models.CASCADE, db_constraint=False, db_index=False
    )
    hour = models.DateTimeField(help_text="its beginning")
    n = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.n} of {self.listener_id} in {self.hour:%d %b %H} h"
