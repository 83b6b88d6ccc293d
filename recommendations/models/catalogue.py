"""What there is to play."""

from typing import Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

UNIT_FEATURES = (
    "danceability",
    "energy",
    "valence",
    "acousticness",
    "liveness",
    "speechiness",
)
AUDIO_FEATURES = (*UNIT_FEATURES, "loudness_db", "tempo_bpm")


class Artist(models.Model):
    """Who a track is by, as the catalogue spells it."""

    name = models.CharField(max_length=500, unique=True)

    def __str__(self) -> str:
        return self.name


class Genre(models.Model):
    """A genre or tag, in lower case."""

    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class TrackQuerySet(models.QuerySet["Track"]):
    """Reads of tracks."""

    def active(self) -> Self:
        """Return the tracks that may be recommended."""
        return self.filter(is_active=True)


def _unit_field() -> models.FloatField:
    return models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )


class Track(models.Model):
    """One recording; `track_id` is the name its source knows it by."""

    track_id = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=500)
    artist = models.ForeignKey(Artist, on_delete=models.PROTECT, related_name="tracks")
    album = models.CharField(max_length=500, blank=True)
    genres = models.ManyToManyField(Genre, related_name="tracks", blank=True)
    year = models.PositiveSmallIntegerField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    popularity = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MaxValueValidator(100)], help_text="0 to 100"
    )
    danceability = _unit_field()
    energy = _unit_field()
    valence = _unit_field()
    acousticness = _unit_field()
    liveness = _unit_field()
    speechiness = _unit_field()
    loudness_db = models.FloatField(null=True, blank=True)
    tempo_bpm = models.FloatField(null=True, blank=True, validators=[MinValueValidator(0)])
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TrackQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(**{feature: None}) | models.Q(**{f"{feature}__range": (0, 1)}),
                name=f"track_{feature}_in_0_1",
            )
            for feature in UNIT_FEATURES
        ] + [
            models.CheckConstraint(
                condition=models.Q(popularity=None) | models.Q(popularity__lte=100),
                name="track_popularity_to_100",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} – {self.artist}"
