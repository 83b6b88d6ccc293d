"""Who is this: users who log in, listeners who are recommended to, and their tokens."""

import contextlib
import hashlib
import secrets
import uuid
from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.service_accounts import ServiceAccount, ServiceKey
from accounts.vocabulary import Mood
from musicrec.prepared import Parameter, PreparedRow

__all__ = [
    "AnsweredRequest",
    "ApiToken",
    "Listener",
    "Preferences",
    "ServiceAccount",
    "ServiceKey",
    "User",
]

MAX_EMAIL = 254
"""Characters of an email, as Django's field has it."""

MAX_KEY = 64
"""Characters of the key by which a client's request is known again."""


class UserManager(BaseUserManager["User"]):
    """Creates users by email, which is their only name."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user; without a password they cannot log in."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user who may do everything."""
        return self.create_user(email, password, **fields, is_staff=True, is_superuser=True)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with this email, whatever its case."""
        return self.get(email__iexact=username)


class User(AbstractUser):
    """Somebody who logs in: a listener with an account, or a member of staff."""

    username = None  # type: ignore[assignment]
    email = models.EmailField(unique=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    objects = UserManager()  # type: ignore[misc,assignment]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique_any_case")]

    def __str__(self) -> str:
        return self.email


class ListenerQuerySet(models.QuerySet["Listener"]):
    """Reads of listeners."""

    def visitors_gone(self, *, since: datetime) -> Self:
        """Return visitors who came before `since`."""
        return self.filter(is_visitor=True, created_at__lt=since)

    def of_service(self, service: ServiceAccount) -> Self:
        """Return the listeners that a service brought along."""
        return self.filter(service=service)

    def known_as(self, key: str) -> Self:
        """Return the listener with this external id, or else with this UUID."""
        query = models.Q(external_id=key)
        with contextlib.suppress(ValueError):
            query |= models.Q(uuid=uuid.UUID(key))
        return self.filter(query)


class Listener(models.Model):
    """Somebody who is recommended to: the unit of experiments, tastes and the ledger.

    A listener has an account here (`user`), or was brought along by an import or a service under
    an `external_id`.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE
    )
    external_id = models.CharField(  # noqa: DJ001 (unique where there is one)
        max_length=128, null=True, blank=True
    )
    service = models.ForeignKey(
        ServiceAccount,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        help_text="whose listener it is, and who alone may name it by `external_id`",
    )
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166-1 alpha-2")
    time_zone = models.CharField(max_length=64, blank=True, help_text="IANA name")
    music_service = models.CharField(
        max_length=32, blank=True, db_default="", help_text="where they listen, for links out"
    )
    onboarded = models.BooleanField(
        db_default=False, help_text="whether the first questions were answered or put aside"
    )
    is_visitor = models.BooleanField(
        db_default=False, help_text="a browser session without an account"
    )
    is_simulated = models.BooleanField(default=False, db_index=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = ListenerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["external_id", "service"],
                condition=models.Q(external_id__isnull=False),
                nulls_distinct=False,
                name="listener_once_per_service",
            )
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def key(self) -> str:
        """The name by which clients know this listener, their `user_id`."""
        return self.external_id or str(self.uuid)


class Preferences(models.Model):
    """What a listener says they like, as opposed to what they do."""

    listener = models.OneToOneField(Listener, primary_key=True, on_delete=models.CASCADE)
    genres = ArrayField(models.CharField(max_length=100), default=list, blank=True, size=50)
    artists = ArrayField(models.CharField(max_length=500), default=list, blank=True, size=100)
    energy = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )
    mood = models.CharField(max_length=20, blank=True, choices=Mood.choices)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "preferences"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(energy=None) | models.Q(energy__range=(0, 1)),
                name="preferences_energy_in_0_1",
            )
        ]

    def __str__(self) -> str:
        return f"preferences of {self.listener_id}"


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Reads of tokens."""

    def of(self, user: User) -> Self:
        """Return the tokens of one user."""
        return self.filter(user=user)

    def valid(self, *, at: datetime) -> Self:
        """Return those that have not expired."""
        return self.filter(expires_at__gt=at)

    def valid_for(
        self, secret: str, *, at: datetime, read: "PreparedRow[ApiToken] | None" = None
    ) -> "ApiToken | None":
        """Return the unexpired token with this secret, with its user and listener loaded.

        Args:
            secret: the whole token.
            at: now.
            read: reads `valid_token` with more beside it.
        """
        return (read or _VALID_TOKEN).get(digest=ApiToken.digest_of(secret), at=at)


def valid_token() -> ApiTokenQuerySet:
    """Return the query of a `PreparedRow` for a token, by its `digest` and the time `at`."""
    return ApiToken.objects.filter(
        digest=Parameter("digest")(), expires_at__gt=Parameter("at")(), user__is_active=True
    ).select_related("user__listener__preferences")


_VALID_TOKEN = PreparedRow(valid_token)


class ApiToken(models.Model):
    """A secret that lets an app act for a user; only its SHA-256 is kept.

    The secret has 256 random bits, so a fast hash is enough: there is nothing to guess.
    """

    PREFIX = "mr_"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, help_text="to the hour")
    user_session = models.ForeignKey(
        "usersessions.UserSession",
        null=True,
        on_delete=models.CASCADE,
        help_text="the login that it was given to; it ends with it",
    )
    second_factor = models.BooleanField(
        default=False, help_text="whoever it was issued to had shown a second factor"
    )

    objects = ApiTokenQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @classmethod
    def new_secret(cls) -> str:
        """Return a fresh secret."""
        return cls.PREFIX + secrets.token_urlsafe(32)

    @staticmethod
    def digest_of(secret: str) -> bytes:
        """Return what is kept of `secret`, 32 bytes."""
        return hashlib.sha256(secret.encode()).digest()


class AnsweredRequest(models.Model):
    """A request with a key, and what it was answered; of a listener, or of a service.

    Without a row nothing is lost but that a repeat would be taken for a new request.
    """

    listener = models.ForeignKey(Listener, null=True, on_delete=models.CASCADE)
    service = models.ForeignKey(ServiceAccount, null=True, on_delete=models.CASCADE)
    key = models.CharField(max_length=MAX_KEY)
    asked = models.BinaryField(max_length=32, help_text="SHA-256 of address and body")
    answer = models.BinaryField(null=True, help_text="compressed JSON; none where it was a secret")
    answered_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["listener", "service", "key"],
                nulls_distinct=False,
                name="request_answered_once",
            ),
            models.CheckConstraint(
                condition=models.Q(listener=None, service__isnull=False)
                | models.Q(listener__isnull=False, service=None),
                name="answered_request_of_one_caller",
            ),
        ]

    def __str__(self) -> str:
        return self.key
