"""What there is to play."""

from typing import Self

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.core.validators import MaxValueValidator, MinValueValidator, URLValidator
from django.db import models
from django.db.models import F, OuterRef, Value
from django.db.models.functions import Coalesce

from recommendations.core.search_text import normalize
from recommendations.models.search import NormalizedField, SearchQuerySet, words_of

UNIT_FEATURES = (
    "danceability",
    "energy",
    "valence",
    "acousticness",
    "liveness",
    "speechiness",
)
AUDIO_FEATURES = (*UNIT_FEATURES, "loudness_db", "tempo_bpm")


https_only = URLValidator(schemes=["https"])


def _beginning_index(name: str) -> models.Index:
    return models.Index(OpClass(F("search_name"), name="varchar_pattern_ops"), name=name)


class Artist(models.Model):
    """Who a track is by, as the catalogue spells it."""

    name = models.CharField(max_length=500, unique=True)
    is_active = models.BooleanField(
        default=True,
        db_default=True,
        help_text="off: none of their tracks is recommended, also later ones",
    )
    search_name = NormalizedField()
    search = models.GeneratedField(
        expression=words_of("search_name"), output_field=SearchVectorField(), db_persist=True
    )
    standing = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="popularity of the best-known track",
    )

    objects = SearchQuerySet.as_manager()

    class Meta:
        indexes = [
            _beginning_index("artist_beginning"),
            GinIndex(fields=["search"], name="artist_words"),
            models.Index(F("standing").desc(), F("id").desc(), name="artist_best_known"),
        ]

    def __str__(self) -> str:
        return self.name


class Genre(models.Model):
    """A genre or tag, in lower case."""

    name = models.CharField(max_length=100, unique=True)
    search_name = NormalizedField()
    search = models.GeneratedField(
        expression=words_of("search_name"), output_field=SearchVectorField(), db_persist=True
    )

    objects = SearchQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class TrackQuerySet(SearchQuerySet):
    """Reads of tracks."""

    def active(self) -> Self:
        """Return the tracks that may be recommended."""
        return self.filter(is_active=True, artist__is_active=True)

    def with_facts(self) -> Self:
        """Load what a client is told of a track, in the same query."""
        genres = Genre.objects.filter(tracks=OuterRef("pk")).order_by("name").values("name")
        told = self.select_related("artist").annotate(told_genres=ArraySubquery(genres))
        return told.defer("search", "edited_fields", "artist__search")

    def of_genre(self, name: str) -> Self:
        """Return the tracks of a genre, named in any case and with or without accents."""
        wanted = Genre.objects.filter(search_name=normalize(name)).values("pk")
        links = Track.genres.through.objects.filter(genre_id__in=wanted)
        return self.filter(pk__in=links.values("track_id"))


def _unit_field() -> models.FloatField:
    return models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )


def _https_url_field() -> models.URLField:
    return models.URLField(max_length=1000, blank=True, db_default="", validators=[https_only])


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
    isrc = models.CharField(
        max_length=12,
        blank=True,
        db_default="",
        help_text="International Standard Recording Code, ISO 3901",
    )
    spotify_id = models.CharField(max_length=22, blank=True, db_default="")
    musicbrainz_id = models.UUIDField(null=True, blank=True, help_text="of the recording")
    cover_url = _https_url_field()
    preview_url = _https_url_field()
    is_active = models.BooleanField(default=True)
    search_name = NormalizedField()
    search = SearchVectorField(
        null=True, editable=False, help_text="words of title, artist, album and genres"
    )
    standing = models.GeneratedField(
        expression=Coalesce("popularity", Value(0)),
        output_field=models.PositiveSmallIntegerField(),
        db_persist=True,
    )
    edited_fields = ArrayField(
        models.CharField(max_length=40),
        default=list,
        db_default=[],
        blank=True,
        editable=False,
        help_text="typed by an editor: no enrichment overwrites them",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TrackQuerySet.as_manager()

    class Meta:
        indexes = [
            _beginning_index("track_beginning"),
            GinIndex(fields=["search"], name="track_words"),
            models.Index(F("standing").desc(), F("id").desc(), name="track_best_known"),
            models.Index(fields=["isrc"], condition=~models.Q(isrc=""), name="track_isrc"),
            models.Index(
                fields=["spotify_id"], condition=~models.Q(spotify_id=""), name="track_spotify"
            ),
            models.Index(
                fields=["musicbrainz_id"],
                condition=models.Q(musicbrainz_id__isnull=False),
                name="track_musicbrainz",
            ),
        ]
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
            ),
            models.CheckConstraint(
                condition=models.Q(cover_url="") | models.Q(cover_url__startswith="https://"),
                name="track_cover_by_https",
            ),
            models.CheckConstraint(
                condition=models.Q(preview_url="") | models.Q(preview_url__startswith="https://"),
                name="track_preview_by_https",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} – {self.artist}"

    @property
    def genre_names(self) -> list[str]:
        """Names of the genres, rising; a query unless `with_facts` or a prefetch read them."""
        told: list[str] | None = self.__dict__.get("told_genres")
        return [genre.name for genre in self.genres.all()] if told is None else told


class TrackLookup(models.Model):
    """That a track was looked up with a provider, and what that filled in."""

    track = models.ForeignKey(Track, on_delete=models.CASCADE, related_name="lookups")
    provider = models.CharField(max_length=20)
    looked_up_at = models.DateTimeField()
    external_id = models.CharField(max_length=64, blank=True, help_text="empty: not found there")
    filled = ArrayField(models.CharField(max_length=40), default=list, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["track", "provider"], name="one_lookup_per_provider")
        ]

    def __str__(self) -> str:
        return f"{self.provider} on {self.track_id}"
