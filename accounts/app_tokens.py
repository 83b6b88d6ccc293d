"""The tokens that django-allauth hands to apps."""

from allauth.headless.tokens.strategies.sessions import SessionTokenStrategy
from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.base import SessionBase
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest
from django.utils import timezone

from accounts import services
from accounts.second_factor import showed_second_factor


class AppTokenStrategy(SessionTokenStrategy):
    """Two tokens for an app, neither of which can be read from the database.

    The session token (`X-Session-Token`) leads through login, second factor and account pages; it
    is signed, so that a session key alone, as a stolen copy of the table has it, is worth nothing
    here.  The access token is an `ApiToken`, of which only a digest is kept; it is for everything
    else, is listed under /me/tokens, and ends with the session.
    """

    _signer = Signer(salt="musicrec.app-session")

    def create_session_token(self, request: HttpRequest) -> str:
        """Return the signed key of the request's session."""
        return self._signer.sign(super().create_session_token(request))

    def lookup_session(self, session_token: str) -> SessionBase | None:
        """Return the session of a token that we signed, None for any other."""
        try:
            key = self._signer.unsign(session_token)
        except BadSignature:
            return None
        return super().lookup_session(key)

    def create_access_token(self, request: HttpRequest) -> str:
        """Return the secret of a new token for the API, tied to the session."""
        # allauth lists a session only after this, and first drops those that are not saved.
        request.session.save()
        UserSession.objects.create_from_request(request)
        session = UserSession.objects.get(session_key=request.session.session_key)
        agent = request.headers.get("user-agent", "")[:60]
        return services.issue_token(
            user=request.user,
            name=f"app {agent}".strip(),
            at=timezone.now(),
            session=session,
            second_factor=showed_second_factor(request),
        )
