"""Writes: registering, preferences, tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.db import IntegrityError, transaction

from accounts import sign_in_log
from accounts.models import ApiToken, Listener, Preferences, ServiceAccount, ServiceKey, User
from musicrec.exceptions import RuleViolation

MAX_TOKENS = 100
"""Tokens that one user may have at a time under names of their own."""


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
    EmailAddress.objects.create(user=user, email=user.email, primary=True)
    return Listener.objects.create(user=user)


class TooManyTokens(RuleViolation):
    """A user has as many tokens as one may have."""

    code = "too_many_tokens"


@dataclass(frozen=True)
class IssuedToken:
    """A token with its secret, which can be read at this moment only."""

    id: int
    name: str
    created_at: datetime
    last_used_at: None
    expires_at: datetime
    secret: str


def issue_token(
    *,
    user: User,
    name: str,
    at: datetime,
    session: UserSession | None = None,
    second_factor: bool = False,
) -> str:
    """Create a token for `user` and return its secret, which cannot be read again."""
    return _issue(
        user=user, name=name, at=at, user_session=session, second_factor=second_factor
    ).secret


def issue_named_token(
    *, user: User, name: str, at: datetime, lifetime: timedelta | None, second_factor: bool
) -> IssuedToken:
    """Create a token that a user asked for under a name of their own.

    Raises:
        TooManyTokens: they have `MAX_TOKENS` that work.
    """
    if ApiToken.objects.of(user).valid(at=at).count() >= MAX_TOKENS:
        raise TooManyTokens(f"You have {MAX_TOKENS} tokens already. Revoke one first.")
    return _issue(user=user, name=name, at=at, lifetime=lifetime, second_factor=second_factor)


def _issue(
    *, user: User, name: str, at: datetime, lifetime: timedelta | None = None, **fields: Any
) -> IssuedToken:
    secret = ApiToken.new_secret()
    # What has expired is of no use to anybody, and would pile up with every login.
    ApiToken.objects.of(user).filter(expires_at__lte=at).delete()
    token = ApiToken.objects.create(
        user=user,
        name=name,
        digest=ApiToken.digest_of(secret),
        created_at=at,
        expires_at=at + (lifetime or settings.API_TOKEN_LIFETIME),
        **fields,
    )
    sign_in_log.token_issued(user, name=name, second_factor=token.second_factor)
    return IssuedToken(token.pk, name, at, None, token.expires_at, secret)


def revoke_token(*, user: User, secret: str) -> None:
    """Delete the token of `user` with this secret, if it is there."""
    ApiToken.objects.filter(user=user, digest=ApiToken.digest_of(secret)).delete()


def revoke_tokens(*, user: User) -> None:
    """Delete every token of the API that `user` has, those of apps' logins too."""
    ApiToken.objects.of(user).delete()


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


class Profile(TypedDict, total=False):
    """What a listener may say of themselves; each part may be left out."""

    country: str
    time_zone: str
    music_service: str
    onboarded: bool


def update_profile(*, listener: Listener, **given: Unpack[Profile]) -> None:
    """Replace what is given of a listener's profile."""
    if given:
        Listener.objects.filter(pk=listener.pk).update(**given)


def listener_of(user: User) -> Listener:
    """Return the user's listener; staff get theirs when they first listen."""
    try:
        return user.listener
    except Listener.DoesNotExist:
        listener, _ = Listener.objects.get_or_create(user=user)
        return listener


def issue_service_key(
    *,
    service: ServiceAccount,
    scopes: Sequence[str],
    at: datetime,
    name: str = "",
    expires_at: datetime | None = None,
) -> tuple[ServiceKey, str]:
    """Create a key for a service; return it with its secret, which cannot be read again."""
    secret = ServiceKey.new_secret()
    key = ServiceKey.objects.create(
        service=service,
        name=name,
        digest=ServiceKey.digest_of(secret),
        scopes=sorted(set(scopes)),
        created_at=at,
        expires_at=expires_at,
    )
    return key, secret


def revoke_service_key(*, key: ServiceKey, at: datetime) -> bool:
    """End a key at once; return whether it was in force."""
    return bool(ServiceKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=at))
