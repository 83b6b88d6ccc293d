"""What the account endpoints take and answer."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from rest_framework import serializers

from accounts.models import MAX_EMAIL, User
from accounts.vocabulary import Mood
from musicrec.fields import NumberField

MAX_GENRE = 100


class CredentialsSerializer(serializers.Serializer):
    """An email and its password."""

    email = serializers.EmailField(max_length=MAX_EMAIL)
    password = serializers.CharField(max_length=128, trim_whitespace=False)

    def validate_email(self, email: str) -> str:
        """Fold to lower case, as emails are kept; that may make them longer."""
        if len(email.lower()) > MAX_EMAIL:
            raise serializers.ValidationError(f"This is longer than {MAX_EMAIL} characters.")
        return email.lower()


class RegistrationSerializer(CredentialsSerializer):
    """A new account."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check the password against the rules, among them the list of common ones."""
        try:
            validate_password(attrs["password"], User(email=attrs["email"]))
        except ValidationError as error:
            raise serializers.ValidationError({"password": error.messages}) from error
        return attrs


class SessionSerializer(serializers.Serializer):
    """Who the caller is, and the token to show from now on."""

    user_id = serializers.CharField()
    token = serializers.CharField()


class PreferencesSerializer(serializers.Serializer):
    """What a listener says they like; fields left out stay as they are."""

    user_id = serializers.CharField(max_length=128, required=False, write_only=True)
    genres = serializers.ListField(
        child=serializers.CharField(max_length=MAX_GENRE), max_length=50, required=False
    )
    artists = serializers.ListField(
        child=serializers.CharField(max_length=500), max_length=100, required=False
    )
    energy = NumberField(min_value=0, max_value=1, required=False, allow_null=True)
    mood = serializers.ChoiceField(choices=Mood.choices, required=False, allow_blank=True)

    def validate_genres(self, genres: list[str]) -> list[str]:
        """Fold to lower case, as genres are kept, each once."""
        folded = list(dict.fromkeys(genre.lower() for genre in genres))
        if any(len(genre) > MAX_GENRE for genre in folded):
            raise serializers.ValidationError(
                f"In lower case, one is longer than {MAX_GENRE} characters."
            )
        return folded
