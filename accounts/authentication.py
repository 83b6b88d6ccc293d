"""Bearer tokens for the API."""

from datetime import datetime, timedelta

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.models import ApiToken, User
from accounts.second_factor import is_kept_from_staff

USE_NOTED_EVERY = timedelta(hours=1)
"""How exactly a token remembers its last use; so a request rarely writes."""


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer mr_...``; one query, which also loads the listener.

    A view that needs more of the listener names in `token_read` what reads it along with the token.
    """

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """Return the token's user, or None where there is no bearer token."""
        keyword, _, secret = get_authorization_header(request).partition(b" ")
        if keyword.lower() != b"bearer":
            return None
        try:
            text = secret.strip().decode("ascii")
        except UnicodeDecodeError:
            raise AuthenticationFailed("The token is not ASCII.") from None
        now = timezone.now()
        view = (request.parser_context or {}).get("view")
        token = ApiToken.objects.valid_for(text, at=now, read=getattr(view, "token_read", None))
        if token is None:
            raise AuthenticationFailed("The token is unknown or has expired.")
        if is_kept_from_staff(request.path, token):
            raise PermissionDenied("Show a second factor first.", code="second_factor_required")
        _note_use(token, at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Make DRF answer 401 rather than 403."""
        return "Bearer"


def _note_use(token: ApiToken, *, at: datetime) -> None:
    if token.last_used_at is None or at - token.last_used_at >= USE_NOTED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=at)
