"""What the endpoints of recommendations take and answer."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from accounts.vocabulary import Activity, Device, Mood
from musicrec.fields import NumberField, SharedFields
from recommendations.core.plays import EARLIEST
from recommendations.models import Feedback, Track
from recommendations.models.catalogue import AUDIO_FEATURES
from recommendations.services.recommend import Answer, Item
from recommendations.services.rows import ROWS
from recommendations.services.wishes import Wishes
from recommendations.serving.catalogue import Catalogue
from recommendations.serving.strategies import STRATEGIES

MAX_SKEW = timedelta(minutes=5)


class SituationSerializer(SharedFields, serializers.Serializer):
    """For whom, and in what situation, a list is asked for."""

    user_id = serializers.CharField(
        max_length=128, required=False, help_text="for a service: its own listener"
    )
    mood = serializers.ChoiceField(choices=Mood.choices, required=False, allow_null=True)
    activity = serializers.ChoiceField(choices=Activity.choices, required=False, allow_null=True)
    device_type = serializers.ChoiceField(choices=Device.choices, required=False, allow_null=True)
    discovery = NumberField(
        min_value=0, max_value=1, required=False, allow_null=True, help_text="0 familiar, 1 daring"
    )

    def to_wishes(self, **more: Any) -> Wishes:
        """Return the validated request."""
        given = self.validated_data
        return Wishes(
            mood=Mood(given["mood"]) if given.get("mood") else None,
            activity=Activity(given["activity"]) if given.get("activity") else None,
            device=Device(given["device_type"]) if given.get("device_type") else None,
            adventure=given.get("discovery"),
            **more,
        )


class WishesSerializer(SituationSerializer):
    """A request for recommendations."""

    n_recommendations = serializers.IntegerField(min_value=1, max_value=100, default=10)
    genres = serializers.ListField(
        child=serializers.CharField(max_length=100), max_length=50, default=list
    )
    exclude = serializers.ListField(
        child=serializers.CharField(max_length=128), max_length=1000, default=list
    )
    artists = serializers.ListField(
        child=serializers.CharField(max_length=500),
        max_length=100,
        required=False,
        help_text="what a visitor without an account likes; others state it once and for all",
    )
    strategy = serializers.ChoiceField(
        choices=sorted(STRATEGIES), required=False, allow_null=True, help_text="staff only"
    )

    def to_wishes(self, **more: Any) -> Wishes:
        """Return the validated request."""
        given = self.validated_data
        return super().to_wishes(
            n=given["n_recommendations"],
            genres=tuple(genre.lower() for genre in given["genres"]),
            exclude=tuple(given["exclude"]),
            **more,
        )


class RowWishesSerializer(SituationSerializer):
    """A request for rows of recommendations."""

    n_per_row = serializers.IntegerField(min_value=1, max_value=50, default=12)


class AudioSerializer(serializers.Serializer):
    """What a track sounds like; null where it is not known."""

    danceability = serializers.FloatField(allow_null=True)
    energy = serializers.FloatField(allow_null=True)
    valence = serializers.FloatField(allow_null=True)
    acousticness = serializers.FloatField(allow_null=True)
    liveness = serializers.FloatField(allow_null=True)
    speechiness = serializers.FloatField(allow_null=True)
    loudness_db = serializers.FloatField(allow_null=True)
    tempo_bpm = serializers.FloatField(allow_null=True)


class TrackSerializer(serializers.Serializer):
    """A track."""

    track_id = serializers.CharField()
    track_name = serializers.CharField()
    artist = serializers.CharField()
    artist_id = serializers.IntegerField()
    album = serializers.CharField(allow_blank=True)
    genres = serializers.ListField(child=serializers.CharField())
    year = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    popularity = serializers.IntegerField(allow_null=True, help_text="0 to 100")
    cover_url = serializers.URLField(allow_null=True)
    preview_url = serializers.URLField(allow_null=True)


class FullTrackSerializer(TrackSerializer):
    """A track with what it sounds like."""

    audio = AudioSerializer()


def track_data(track: Track) -> dict[str, Any]:
    """Return what a list says of a track, read by `with_facts`."""
    return {
        "track_id": track.track_id,
        "track_name": track.name,
        "artist": track.artist.name,
        "artist_id": track.artist_id,
        "album": track.album,
        "genres": track.genre_names,
        "year": track.year,
        "duration_ms": track.duration_ms,
        "popularity": track.popularity,
        "cover_url": track.cover_url or None,
        "preview_url": track.preview_url or None,
    }


def full_track_data(track: Track) -> dict[str, Any]:
    """Return all that a client is told of a track."""
    audio = {feature: getattr(track, feature) for feature in AUDIO_FEATURES}
    return track_data(track) | {"audio": audio}


def row_data(catalogue: Catalogue, row: int) -> dict[str, Any]:
    """Return what `track_data` does for a row of the catalogue in memory, without a query."""
    artist = catalogue.artist_rows[row]
    return {
        "track_id": catalogue.track_ids[row],
        "track_name": catalogue.names[row],
        "artist": catalogue.artist_names[artist],
        "artist_id": int(catalogue.artist_pks[artist]),
        "genres": catalogue.genres_of(row),
        **catalogue.facts[row]._asdict(),
    }


class ReasonSerializer(serializers.Serializer):
    """A signal that raised a track's score."""

    signal = serializers.CharField(
        help_text="rated, liked, played, named_artist, genre, wish, trending, popularity, novelty, "
        "catalogue, similar or new"
    )
    text = serializers.CharField()
    track_id = serializers.CharField(
        required=False, help_text="the listener's own track that the signal comes from"
    )


class ItemSerializer(TrackSerializer):
    """One recommended track."""

    score = serializers.FloatField()
    prediction_score = serializers.FloatField(
        allow_null=True, help_text="expected rating, 1 to 5; null where no model can tell"
    )
    confidence = serializers.FloatField(
        allow_null=True, help_text="probability that the rating is within one star of it"
    )
    strategy = serializers.CharField()
    explanation = serializers.CharField()
    reasons = ReasonSerializer(many=True)
    explored = serializers.BooleanField(help_text="its place was given to exploration")


def item_data(item: Item) -> dict[str, Any]:
    """Return an item as `ItemSerializer` describes it; plain, for there are many."""
    facts = item.facts
    return {
        "track_id": item.track_id,
        "track_name": item.track_name,
        "artist": item.artist,
        "artist_id": item.artist_id,
        "album": facts.album,
        "genres": item.genres,
        "year": facts.year,
        "duration_ms": facts.duration_ms,
        "popularity": facts.popularity,
        "cover_url": facts.cover_url,
        "preview_url": facts.preview_url,
        "score": item.score,
        "prediction_score": item.prediction_score,
        "confidence": item.confidence,
        "strategy": item.strategy,
        "explanation": item.explanation,
        "reasons": [
            {"signal": reason.signal, "text": reason.text}
            if reason.track_id is None
            else reason._asdict()
            for reason in item.reasons
        ],
        "explored": item.explored,
    }


class VariantSerializer(serializers.Serializer):
    """The experiment that gave the policy."""

    key = serializers.CharField()
    variant = serializers.CharField()


class ChosenArmSerializer(serializers.Serializer):
    """What the bandit chose."""

    arm = serializers.CharField()
    probability = serializers.FloatField()


class AnswerSerializer(serializers.Serializer):
    """A served slate."""

    recommendation_id = serializers.UUIDField()
    policy = serializers.CharField()
    strategy = serializers.CharField(help_text="the one that was served")
    experiment = VariantSerializer(allow_null=True)
    bandit = ChosenArmSerializer(allow_null=True)
    model_version = serializers.IntegerField(allow_null=True)
    fallback = serializers.CharField(
        allow_null=True, help_text="why something else than the policy's choice was served"
    )
    generated_at = serializers.DateTimeField()
    recommendations = ItemSerializer(many=True)


def answer_data(answer: Answer) -> dict[str, Any]:
    """Return a served slate as `AnswerSerializer` describes it."""
    slate = answer.recommendation
    chosen = {"arm": slate.chosen_strategy, "probability": slate.propensity}
    return {
        "recommendation_id": str(slate.pk),
        "policy": slate.policy,
        "strategy": slate.strategy,
        "experiment": {"key": slate.experiment, "variant": slate.variant}
        if slate.experiment
        else None,
        "bandit": chosen if slate.probabilities else None,
        "model_version": slate.model_version_id,
        "fallback": slate.fallback or None,
        "generated_at": slate.created_at.isoformat().replace("+00:00", "Z"),
        "recommendations": [item_data(item) for item in answer.items],
    }


class RowSerializer(serializers.Serializer):
    """A row of recommendations."""

    key = serializers.ChoiceField(choices=ROWS)
    title = serializers.CharField()
    why = serializers.CharField(help_text="how the row comes about")
    slate = AnswerSerializer()


class RowsSerializer(serializers.Serializer):
    """Rows of recommendations, the list for now first."""

    rows = RowSerializer(many=True)


class FeedbackContextSerializer(serializers.Serializer):
    """The situation of a response."""

    mood = serializers.ChoiceField(choices=Mood.choices, required=False)
    device_type = serializers.ChoiceField(choices=Device.choices, required=False)


class FeedbackSerializer(SharedFields, serializers.Serializer):
    """A response to a track."""

    user_id = serializers.CharField(max_length=128, required=False)
    track_id = serializers.CharField(max_length=128)
    kind = serializers.ChoiceField(choices=Feedback.Kind.choices, required=False)
    rating = serializers.IntegerField(min_value=1, max_value=5, required=False, allow_null=True)
    completion = NumberField(
        min_value=0, max_value=1, required=False, allow_null=True, help_text="share heard"
    )
    recommendation_id = serializers.UUIDField(required=False, allow_null=True)
    context = FeedbackContextSerializer(required=False)
    event_id = serializers.CharField(
        max_length=64, required=False, help_text="a repeat with the same id counts once"
    )
    occurred_at = serializers.DateTimeField(required=False)

    def validate_occurred_at(self, moment):
        """Refuse the future, but for clocks that are a little fast, and what cannot have been."""
        if moment > timezone.now() + MAX_SKEW:
            raise serializers.ValidationError("This lies in the future.")
        if moment < EARLIEST:
            raise serializers.ValidationError(f"This lies before {EARLIEST.year}.")
        return moment

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Let a rating alone say its kind, and each kind have what it needs."""
        rating = attrs.get("rating")
        kind = attrs.setdefault("kind", Feedback.Kind.RATING if rating is not None else None)
        if kind is None:
            raise serializers.ValidationError({"rating": "Give a rating from 1 to 5, or a kind."})
        if kind == Feedback.Kind.RATING and rating is None:
            raise serializers.ValidationError({"rating": "A rating needs its number, 1 to 5."})
        if kind != Feedback.Kind.RATING and rating is not None:
            raise serializers.ValidationError({"rating": f"A {kind} has no rating."})
        if attrs.get("completion") is not None and kind not in ("play", "skip"):
            raise serializers.ValidationError({"completion": f"A {kind} has no completion."})
        return attrs


class RecordedSerializer(serializers.Serializer):
    """A response that was taken."""

    event_id = serializers.CharField()
    kind = serializers.CharField()
    preference = serializers.FloatField(help_text="what the response says, 0 to 1")
    duplicate = serializers.BooleanField(help_text="the event was known already")


class SimilarTrackSerializer(TrackSerializer):
    """A track like another."""

    similarity = serializers.FloatField(help_text="comparable within one answer; higher is nearer")
    source = serializers.ChoiceField(choices=["listening", "content"])


class TrackPageSerializer(serializers.Serializer):
    """A page of tracks."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = TrackSerializer(many=True)


class ArtistSerializer(serializers.Serializer):
    """An artist."""

    artist_id = serializers.IntegerField()
    artist = serializers.CharField()


class ArtistPageSerializer(serializers.Serializer):
    """A page of artists."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ArtistSerializer(many=True)


class ArtistDetailSerializer(ArtistSerializer):
    """An artist, with tracks and neighbours."""

    genres = serializers.ListField(child=serializers.CharField(), help_text="most frequent first")
    n_tracks = serializers.IntegerField()
    tracks = TrackSerializer(many=True, help_text="the best known of them")
    similar = ArtistSerializer(many=True)


class GenreSummarySerializer(serializers.Serializer):
    """A genre."""

    genre = serializers.CharField()
    n_tracks = serializers.IntegerField()
    energy = serializers.FloatField(allow_null=True, help_text="mean of its tracks, 0 to 1")
    valence = serializers.FloatField(allow_null=True, help_text="mean of its tracks, 0 to 1")
    related = serializers.ListField(child=serializers.CharField(), help_text="nearest first")


class FoundSerializer(serializers.Serializer):
    """What a search found."""

    tracks = TrackSerializer(many=True)
    artists = ArtistSerializer(many=True)
    genres = serializers.ListField(child=serializers.CharField())
