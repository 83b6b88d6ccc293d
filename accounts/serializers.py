"""What the account endpoints take and answer."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from rest_framework import serializers

from accounts.models import MAX_EMAIL, ApiToken, User
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


class LoginSerializer(CredentialsSerializer):
    """An email, its password, and a second factor where one is set up."""

    code = serializers.CharField(
        max_length=20, required=False, help_text="of an authenticator app, or a recovery code"
    )


class TokenSerializer(serializers.ModelSerializer):
    """A token, as its owner may see it."""

    class Meta:
        model = ApiToken
        fields = ("id", "name", "created_at", "last_used_at", "expires_at")
        read_only_fields = fields


class IssuedTokenSerializer(TokenSerializer):
    """A token at the only moment when its secret can be read."""

    token = serializers.CharField(source="secret", read_only=True)

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")
        read_only_fields = fields


class NewTokenSerializer(serializers.Serializer):
    """A wish for a token."""

    name = serializers.CharField(max_length=100)
    days = serializers.IntegerField(
        min_value=1, max_value=365, required=False, help_text="until it expires; default 90"
    )


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
