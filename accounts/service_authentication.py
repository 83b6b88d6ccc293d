"""Keys of services."""

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.bearer import bearer_secret, note_use
from accounts.service_accounts import ServiceCaller, ServiceKey


class ServiceAuthentication(BaseAuthentication):
    """``Authorization: Bearer ms_...``; one query. Other bearers are left to the next class."""

    def authenticate(self, request: Request) -> tuple[ServiceCaller, ServiceKey] | None:
        """Return the service that the key stands for, or None where it is no service's."""
        secret = bearer_secret(request)
        if secret is None or not secret.startswith(ServiceKey.PREFIX.encode()):
            return None
        now = timezone.now()
        # Bytes beyond ASCII are no key of ours, and need no error of their own.
        key = ServiceKey.objects.valid_for(secret.decode("latin-1"), at=now)
        if key is None:
            raise AuthenticationFailed("The key is unknown, revoked or has expired.")
        note_use(key, at=now)
        return ServiceCaller(key.service, frozenset(key.scopes)), key

    def authenticate_header(self, request: Request) -> str:
        """Make DRF answer 401 rather than 403."""
        return "Bearer"
