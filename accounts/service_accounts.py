"""Who else may call: a music service whose backend speaks for listeners of its own."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Scope(models.TextChoices):
    """What a key lets a service do."""

    READ = "read", "read its listeners and take exports"
    WRITE = "write", "change tracks, its listeners and their feedback"
    RECOMMEND = "recommend", "ask for recommendations"
    ANALYTICS = "analytics", "read reports"


class ServiceAccount(models.Model):
    """A music service; its listeners are its own, under the names that it gives them.

    Two services may use the same external id for two listeners, and neither can name the other's.
    """

    name = models.SlugField(max_length=64, unique=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


class ServiceKeyQuerySet(models.QuerySet["ServiceKey"]):
    """Reads of keys."""

    def valid(self, *, at: datetime) -> Self:
        """Return those that may be used at a time."""
        unexpired = Q(expires_at=None) | Q(expires_at__gt=at)
        return self.filter(unexpired, revoked_at=None, service__is_active=True)

    def valid_for(self, secret: str, *, at: datetime) -> "ServiceKey | None":
        """Return the valid key with this secret, its service loaded; one query."""
        digest = ServiceKey.digest_of(secret)
        return self.valid(at=at).filter(digest=digest).select_related("service").first()


class ServiceKey(models.Model):
    """A secret that lets a service call; only its SHA-256 is kept, and it is shown once.

    The secret has 256 random bits, so a fast hash is enough: there is nothing to guess.
    """

    PREFIX = "ms_"

    service = models.ForeignKey(ServiceAccount, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=100, blank=True)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope.choices))
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False, help_text="to the hour")

    objects = ServiceKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(scopes__contained_by=Scope.values), name="service_key_scopes_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.name or self.pk}"

    @classmethod
    def new_secret(cls) -> str:
        """Return a fresh secret."""
        return cls.PREFIX + secrets.token_urlsafe(32)

    @staticmethod
    def digest_of(secret: str) -> bytes:
        """Return what is kept of `secret`, 32 bytes."""
        return hashlib.sha256(secret.encode()).digest()


@dataclass(frozen=True)
class ServiceCaller:
    """A service in the place of the user that a request is made by."""

    service: ServiceAccount
    scopes: frozenset[str]

    is_authenticated = True
    is_active = True
    is_anonymous = False
    is_staff = False
    is_superuser = False
    pk = None

    @property
    def rate_key(self) -> str:
        """The name under which its calls are counted."""
        return f"service:{self.service.pk}"
