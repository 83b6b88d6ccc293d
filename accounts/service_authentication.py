"""Keys of services."""

from datetime import timedelta

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.service_accounts import ServiceCaller, ServiceKey

USE_NOTED_EVERY = timedelta(hours=1)
"""How exactly a key remembers its last use; so a request rarely writes."""


class ServiceAuthentication(BaseAuthentication):
    """``Authorization: Bearer ms_...``; one query. Other bearers are left to the next class."""

    def authenticate(self, request: Request) -> tuple[ServiceCaller, ServiceKey] | None:
        """Return the service that the key stands for, or None where it is no service's."""
        keyword, _, secret = get_authorization_header(request).partition(b" ")
        secret = secret.strip()
        if keyword.lower() != b"bearer" or not secret.startswith(ServiceKey.PREFIX.encode()):
            return None
        now = timezone.now()
        # Bytes beyond ASCII are no key of ours, and need no error of their own.
        key = ServiceKey.objects.valid_for(secret.decode("latin-1"), at=now)
        if key is None:
            raise AuthenticationFailed("The key is unknown, revoked or has expired.")
        if key.last_used_at is None or now - key.last_used_at >= USE_NOTED_EVERY:
            ServiceKey.objects.filter(pk=key.pk).update(last_used_at=now)
        return ServiceCaller(key.service, frozenset(key.scopes)), key

    def authenticate_header(self, request: Request) -> str:
        """Make DRF answer 401 rather than 403."""
        return "Bearer"
