"""What the endpoints under /me take and answer."""

import zoneinfo
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Listener
from accounts.serializers import PreferencesSerializer
from recommendations.models import Feedback, Hidden, HistoryImport, Track
from recommendations.serializers import ArtistSerializer, TrackSerializer, track_data

N_EXAMPLES = 20
"""Unmatched tracks that an import shows."""

TIME_ZONES = zoneinfo.available_timezones()


class ArtistNameSerializer(ArtistSerializer):
    """An artist who is hidden."""

    artist_id = serializers.IntegerField(source="pk")
    artist = serializers.CharField(source="name")


class TrackBriefSerializer(TrackSerializer):
    """A track as every list shows it."""

    def to_representation(self, instance: Track) -> dict[str, Any]:
        """Return what lists say of a track, which was read with its artist and genres."""
        return track_data(instance)


class StatedSerializer(PreferencesSerializer):
    """What the listener says they like; lists are empty and the rest null where nothing is."""

    user_id = None


class MeSerializer(serializers.ModelSerializer):
    """The listener who is logged in."""

    user_id = serializers.CharField(source="key")
    email = serializers.EmailField(source="user.email")
    email_verified = serializers.BooleanField()
    is_staff = serializers.BooleanField(source="user.is_staff")
    mfa_enabled = serializers.BooleanField()
    preferences = serializers.SerializerMethodField()
    n_feedback = serializers.SerializerMethodField()
    simulated = serializers.BooleanField(source="is_simulated")

    class Meta:
        model = Listener
        fields = (
            "user_id",
            "email",
            "email_verified",
            "is_staff",
            "mfa_enabled",
            "country",
            "time_zone",
            "music_service",
            "created_at",
            "onboarded",
            "preferences",
            "n_feedback",
            "simulated",
        )

    @extend_schema_field(StatedSerializer)
    def get_preferences(self, listener: Listener) -> dict[str, Any]:
        """Return what was stated; empty where nothing was."""
        stated = getattr(listener, "preferences", None)
        if stated is None:
            return {"genres": [], "artists": [], "energy": None, "mood": ""}
        return StatedSerializer(stated).data

    def get_n_feedback(self, listener: Listener) -> int:
        """Return how many responses count."""
        taste = getattr(listener, "taste", None)
        return taste.n_feedback if taste else 0


class ProfileSerializer(serializers.Serializer):
    """What a listener may say of themselves; what is left out stays."""

    country = serializers.RegexField(
        r"^([A-Z]{2})?\Z",
        max_length=2,
        required=False,
        allow_blank=True,
        help_text="ISO 3166-1 alpha-2",
    )
    time_zone = serializers.CharField(
        max_length=64, required=False, allow_blank=True, help_text="IANA name"
    )
    music_service = serializers.RegexField(
        r"^([a-z0-9_]{1,32})?\Z",
        max_length=32,
        required=False,
        allow_blank=True,
        help_text="e.g. spotify",
    )
    onboarded = serializers.BooleanField(required=False)

    def validate_time_zone(self, name: str) -> str:
        """Refuse what is no zone."""
        if name and name not in TIME_ZONES:
            raise serializers.ValidationError("This is no IANA time zone, as Europe/Berlin is.")
        return name


class StateSerializer(serializers.Serializer):
    """What a client compares to know whether to ask again."""

    version = serializers.CharField()


class ResponseSerializer(serializers.ModelSerializer):
    """One response of a history."""

    undone = serializers.SerializerMethodField()
    track = TrackBriefSerializer()
    recommendation_id = serializers.UUIDField(allow_null=True)
    strategy = serializers.SerializerMethodField()

    class Meta:
        model = Feedback
        fields = (
            "event_id",
            "kind",
            "rating",
            "completion",
            "occurred_at",
            "undone",
            "track",
            "recommendation_id",
            "strategy",
        )

    def get_undone(self, feedback: Feedback) -> bool:
        """Return whether it was taken back."""
        return hasattr(feedback, "retraction")

    def get_strategy(self, feedback: Feedback) -> str | None:
        """Return the strategy of the list it answers, or null."""
        return feedback.strategy or None


class HistoryQuerySerializer(serializers.Serializer):
    """Filters of a history."""

    kind = serializers.ChoiceField(choices=Feedback.Kind.choices, required=False)
    q = serializers.CharField(max_length=100, required=False, help_text="in title, artist, album")
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class HiddenSerializer(serializers.ModelSerializer):
    """A hidden track or artist."""

    track = TrackBriefSerializer(allow_null=True)
    artist = ArtistNameSerializer(allow_null=True)

    class Meta:
        model = Hidden
        fields = ("id", "track", "artist", "until", "created_at")


class HideSerializer(serializers.Serializer):
    """What to hide, and for how long; without `days` for good."""

    track_id = serializers.CharField(max_length=128, required=False)
    artist_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    days = serializers.IntegerField(min_value=1, max_value=3650, required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Ask for exactly one of track and artist."""
        if ("track_id" in attrs) == ("artist_id" in attrs):
            raise serializers.ValidationError(
                {"track_id": "Give either a track_id or an artist_id."}
            )
        return attrs


class GenreShareSerializer(serializers.Serializer):
    """A genre's part of something."""

    genre = serializers.CharField()
    share = serializers.FloatField(help_text="0 to 1")


class CountedGenreSerializer(GenreShareSerializer):
    """A genre's part, and how many responses it had."""

    n = serializers.IntegerField()


class LikedArtistSerializer(serializers.Serializer):
    """An artist whom the listener responded to."""

    artist_id = serializers.IntegerField()
    artist = serializers.CharField()
    n = serializers.IntegerField()
    mean_preference = serializers.FloatField(help_text="0 to 1")


class FeatureSerializer(serializers.Serializer):
    """An audio feature of what the listener likes, beside the whole catalogue."""

    mean = serializers.FloatField(allow_null=True)
    catalogue_mean = serializers.FloatField(allow_null=True)


class GenresThenSerializer(serializers.Serializer):
    """The largest genres of a month."""

    at = serializers.DateTimeField()
    genres = GenreShareSerializer(many=True)


class TasteSerializer(serializers.Serializer):
    """What the listener likes."""

    n_feedback = serializers.IntegerField()
    mean_preference = serializers.FloatField(allow_null=True)
    genres = CountedGenreSerializer(many=True)
    artists = LikedArtistSerializer(many=True)
    audio = serializers.DictField(child=FeatureSerializer())
    changed = GenresThenSerializer(many=True)


class PeriodSerializer(serializers.Serializer):
    """How far back statistics go."""

    period = serializers.ChoiceField(choices=["4w", "6m", "1y", "all"], default="4w")


class ArtistPlaysSerializer(serializers.Serializer):
    """How often an artist was heard."""

    artist_id = serializers.IntegerField()
    artist = serializers.CharField()
    plays = serializers.IntegerField()


class TrackPlaysSerializer(TrackSerializer):
    """A track, and how often it was heard."""

    plays = serializers.IntegerField()

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        """Return the track with the count beside its own fields."""
        return {**track_data(instance["track"]), "plays": instance["plays"]}


class MomentSerializer(serializers.Serializer):
    """What was heard in a day, a week or a month."""

    at = serializers.DateTimeField()
    valence = serializers.FloatField(allow_null=True)
    energy = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()


class DecadeSerializer(serializers.Serializer):
    """How much was heard of a decade."""

    decade = serializers.IntegerField()
    n = serializers.IntegerField()


class StrategySerializer(serializers.Serializer):
    """How a way of recommending fared with the listener."""

    strategy = serializers.CharField()
    slates = serializers.IntegerField()
    responses = serializers.IntegerField()
    mean_preference = serializers.FloatField(allow_null=True)


class ChangeSerializer(serializers.Serializer):
    """How a list changed after a response."""

    at = serializers.DateTimeField()
    kind = serializers.CharField()
    track = TrackBriefSerializer()
    entered = TrackBriefSerializer(many=True)
    left = TrackBriefSerializer(many=True)


class StatisticsSerializer(serializers.Serializer):
    """What the listener listened to."""

    period = serializers.CharField()
    n = serializers.IntegerField(help_text="tracks heard: played, liked, saved or rated")
    top_artists = ArtistPlaysSerializer(many=True)
    top_tracks = TrackPlaysSerializer(many=True)
    top_genres = GenreShareSerializer(many=True)
    week_hours = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField()),
        help_text="7 days from Monday, 24 hours each, in the listener's time zone",
    )
    over_time = MomentSerializer(many=True)
    era = DecadeSerializer(many=True)
    strategies = StrategySerializer(many=True)
    recommendations_changed = ChangeSerializer(many=True)


class LibraryQuerySerializer(serializers.Serializer):
    """Which part of the library."""

    state = serializers.ChoiceField(choices=["saved", "liked", "rated", "hidden"])


class LibraryRowSerializer(serializers.Serializer):
    """A track of the library, and how it came there."""

    track = TrackBriefSerializer(allow_null=True)
    artist = ArtistNameSerializer(allow_null=True, required=False)
    state = serializers.CharField()
    rating = serializers.IntegerField(allow_null=True)
    at = serializers.DateTimeField()
    event_id = serializers.CharField(allow_null=True)

    def to_representation(self, row: Feedback | Hidden) -> dict[str, Any]:
        """Return a response, or what is hidden, in the one form."""
        if isinstance(row, Hidden):
            said = row.feedback.event_id if row.feedback else None
            facts = {"artist": row.artist, "rating": None, "at": row.created_at, "event_id": said}
        else:
            facts = {"rating": row.rating, "at": row.occurred_at, "event_id": row.event_id}
        return super().to_representation(
            {"artist": None, "track": row.track, "state": self.context["state"], **facts}
        )


class PasswordSerializer(serializers.Serializer):
    """The password, said again."""

    password = serializers.CharField(max_length=128, trim_whitespace=False)


class UploadSerializer(serializers.Serializer):
    """A file to take in."""

    file = serializers.FileField(max_length=200, allow_empty_file=False)
    source = serializers.ChoiceField(
        choices=HistoryImport.Source.choices, required=False, help_text="found out where left out"
    )


class MissingSerializer(serializers.Serializer):
    """A track of a history that is not in the catalogue."""

    name = serializers.CharField(help_text="artist and title")
    plays = serializers.IntegerField()


class HistoryImportSerializer(serializers.ModelSerializer):
    """How far an import is, and what came of it."""

    source = serializers.SerializerMethodField()
    examples = serializers.SerializerMethodField()

    class Meta:
        model = HistoryImport
        fields = (
            "id",
            "status",
            "source",
            "file_name",
            "matched",
            "unmatched",
            "duplicates",
            "rejected",
            "examples",
            "error",
            "created_at",
            "finished_at",
        )
        read_only_fields = fields

    def get_source(self, job: HistoryImport) -> str | None:
        """Return the service, or null while it is not known."""
        return job.source or None

    @extend_schema_field(MissingSerializer(many=True))
    def get_examples(self, job: HistoryImport) -> list[dict[str, Any]]:
        """Return what was played most of what is not here."""
        most = sorted(job.missing.items(), key=lambda item: (-item[1], item[0]))
        return [{"name": name, "plays": plays} for name, plays in most[:N_EXAMPLES]]
