"""Writes: registering, preferences, tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.models import ApiToken, Listener, Preferences, User
from musicrec.exceptions import RuleViolation


class EmailTaken(RuleViolation):
    """Somebody has an account under this email already."""

    code = "email_taken"


@transaction.atomic
def register(*, email: str, password: str) -> Listener:
    """Create a user with a listener; the password must have been validated.

    Raises:
        EmailTaken: the email has an account, in whatever case.
    """
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, password)
    except IntegrityError as error:
        raise EmailTaken("This email already has an account.") from error
    return Listener.objects.create(user=user)


def issue_token(*, user: User, name: str, at: datetime) -> str:
    """Create a token for `user` and return its secret, which cannot be read again."""
    secret = ApiToken.new_secret()
    ApiToken.objects.create(
        user=user,
        name=name,
        digest=ApiToken.digest_of(secret),
        created_at=at,
        expires_at=at + settings.API_TOKEN_LIFETIME,
    )
    return secret


def revoke_token(*, user: User, secret: str) -> None:
    """Delete the token of `user` with this secret, if it is there."""
    ApiToken.objects.filter(user=user, digest=ApiToken.digest_of(secret)).delete()


class StatedPreferences(TypedDict, total=False):
    """What a listener may say they like; each part may be left out."""

    genres: Sequence[str]
    artists: Sequence[str]
    energy: float | None
    mood: str


def set_preferences(*, listener: Listener, **given: Unpack[StatedPreferences]) -> Preferences:
    """Replace what is given of a listener's stated preferences; what is left out stays."""
    preferences, _ = Preferences.objects.update_or_create(listener=listener, defaults=given)
    return preferences


def listener_of(user: User) -> Listener:
    """Return the user's listener; staff get theirs when they first listen."""
    try:
        return user.listener
    except Listener.DoesNotExist:
        listener, _ = Listener.objects.get_or_create(user=user)
        return listener
