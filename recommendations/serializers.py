"""What the endpoints of recommendations take and answer."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.vocabulary import Device, Mood
from musicrec.fields import NumberField
from recommendations.models import Feedback
from recommendations.services.recommend import Answer, Wishes

MAX_SKEW = timedelta(minutes=5)


class WishesSerializer(serializers.Serializer):
    """A request for recommendations."""

    user_id = serializers.CharField(max_length=128, required=False)
    n_recommendations = serializers.IntegerField(min_value=1, max_value=100, default=10)
    mood = serializers.ChoiceField(choices=Mood.choices, required=False, allow_null=True)
    device_type = serializers.ChoiceField(choices=Device.choices, required=False, allow_null=True)
    genres = serializers.ListField(
        child=serializers.CharField(max_length=100), max_length=50, default=list
    )
    exclude = serializers.ListField(
        child=serializers.CharField(max_length=128), max_length=1000, default=list
    )
    discovery = NumberField(
        min_value=0, max_value=1, required=False, allow_null=True, help_text="0 familiar, 1 daring"
    )

    def to_wishes(self) -> Wishes:
        """Return the validated request."""
        given = self.validated_data
        return Wishes(
            n=given["n_recommendations"],
            mood=Mood(given["mood"]) if given.get("mood") else None,
            device=Device(given["device_type"]) if given.get("device_type") else None,
            genres=tuple(genre.lower() for genre in given["genres"]),
            exclude=tuple(given["exclude"]),
            adventure=given.get("discovery"),
        )


class ItemSerializer(serializers.Serializer):
    """One recommended track."""

    track_id = serializers.CharField()
    track_name = serializers.CharField()
    artist = serializers.CharField()
    genres = serializers.ListField(child=serializers.CharField())
    score = serializers.FloatField()
    prediction_score = serializers.FloatField(
        allow_null=True, help_text="expected rating, 1 to 5; null where no model can tell"
    )
    confidence = serializers.FloatField(
        allow_null=True, help_text="probability that the rating is within one star of it"
    )
    strategy = serializers.CharField()
    explanation = serializers.CharField()
    explored = serializers.BooleanField(help_text="its place was given to exploration")


ITEM_FIELDS = tuple(ItemSerializer().fields)


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

    recommendation_id = serializers.UUIDField(source="recommendation.id")
    policy = serializers.CharField(source="recommendation.policy")
    strategy = serializers.CharField(source="recommendation.strategy")
    experiment = serializers.SerializerMethodField()
    bandit = serializers.SerializerMethodField()
    model_version = serializers.IntegerField(
        source="recommendation.model_version_id", allow_null=True
    )
    fallback = serializers.SerializerMethodField()
    generated_at = serializers.DateTimeField(source="recommendation.created_at")
    recommendations = ItemSerializer(source="items", many=True)

    @extend_schema_field(VariantSerializer(allow_null=True))
    def get_experiment(self, answer: Answer) -> dict[str, str] | None:
        """Return key and variant, or null."""
        row = answer.recommendation
        return {"key": row.experiment, "variant": row.variant} if row.experiment else None

    @extend_schema_field(ChosenArmSerializer(allow_null=True))
    def get_bandit(self, answer: Answer) -> dict[str, Any] | None:
        """Return arm and probability, or null."""
        row = answer.recommendation
        if not row.probabilities:
            return None
        return {"arm": row.chosen_strategy, "probability": row.propensity}

    def get_fallback(self, answer: Answer) -> str | None:
        """Return why something else was served, or null."""
        return answer.recommendation.fallback or None

    def to_representation(self, answer: Answer) -> dict[str, Any]:
        """Return what the fields declare, written out: field by field it took a tenth of a request.

        A test holds it to the declaration.
        """
        row = answer.recommendation
        return {
            "recommendation_id": str(row.id),
            "policy": row.policy,
            "strategy": row.strategy,
            "experiment": self.get_experiment(answer),
            "bandit": self.get_bandit(answer),
            "model_version": row.model_version_id,
            "fallback": self.get_fallback(answer),
            "generated_at": row.created_at.isoformat().replace("+00:00", "Z"),
            "recommendations": [
                {name: getattr(item, name) for name in ITEM_FIELDS} for item in answer.items
            ],
        }


class FeedbackContextSerializer(serializers.Serializer):
    """The situation of a response."""

    mood = serializers.ChoiceField(choices=Mood.choices, required=False)
    device_type = serializers.ChoiceField(choices=Device.choices, required=False)


class FeedbackSerializer(serializers.Serializer):
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
        """Refuse the future, but for clocks that are a little fast."""
        if moment > timezone.now() + MAX_SKEW:
            raise serializers.ValidationError("This lies in the future.")
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


class SimilarTrackSerializer(serializers.Serializer):
    """A track like another."""

    track_id = serializers.CharField()
    track_name = serializers.CharField()
    artist = serializers.CharField()
    similarity = serializers.FloatField(help_text="comparable within one answer; higher is nearer")
    source = serializers.ChoiceField(choices=["listening", "content"])
