"""Writes: registering, preferences, tokens."""

from collections.abc import Sequence
from datetime import datetime

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


def set_preferences(
    *,
    listener: Listener,
    genres: Sequence[str] | None = None,
    artists: Sequence[str] | None = None,
    energy: float | None = None,
    mood: str | None = None,
) -> Preferences:
    """Replace what is given of a listener's stated preferences; None leaves a field as it is."""
    given = {"genres": genres, "artists": artists, "energy": energy, "mood": mood}
    changes = {name: value for name, value in given.items() if value is not None}
    preferences, _ = Preferences.objects.update_or_create(listener=listener, defaults=changes)
    return preferences


def listener_of(user: User) -> Listener:
    """Return the user's listener; staff get theirs when they first listen."""
    try:
        return user.listener
    except Listener.DoesNotExist:
        listener, _ = Listener.objects.get_or_create(user=user)
        return listener
