"""Bearer tokens for the API."""

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.bearer import bearer_secret, note_use
from accounts.models import ApiToken, User
from accounts.second_factor import is_kept_from_staff


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer mr_...``; one query, which also loads the listener.

    A view that needs more of the listener names in `token_read` what reads it along with the token.
    """

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """Return the token's user, or None where there is no bearer token."""
        secret = bearer_secret(request)
        if secret is None:
            return None
        try:
            text = secret.decode("ascii")
        except UnicodeDecodeError:
            raise AuthenticationFailed("The token is not ASCII.") from None
        now = timezone.now()
        view = (request.parser_context or {}).get("view")
        token = ApiToken.objects.valid_for(text, at=now, read=getattr(view, "token_read", None))
        if token is None:
            raise AuthenticationFailed("The token is unknown or has expired.")
        if is_kept_from_staff(request.path, token):
            raise PermissionDenied("Show a second factor first.", code="second_factor_required")
        note_use(token, at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Make DRF answer 401 rather than 403."""
        return "Bearer"
