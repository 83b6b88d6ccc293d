"""What holds for every session: how long it lasts, what staff need, what no cache may keep."""

from collections.abc import Callable
from datetime import datetime

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseRedirectBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.http import urlencode

from accounts.second_factor import has_authenticator, needs_second_factor, showed_second_factor
from musicrec.exceptions import problem_response

GetResponse = Callable[[HttpRequest], HttpResponse]

SEEN_EVERY = 3600
"""Seconds after which a session notes again that it is used; so it is rarely written."""

_BEGAN, _SEEN = "began_at", "seen_at"


def lead_whole_pages(get_response: GetResponse) -> GetResponse:
    """Let a page be loaded again where a part of it is led elsewhere, as to the login page.

    htmx follows a redirect and would put where it leads into the part; loaded again, the page
    itself is led there.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if "HX-Request" in request.headers and isinstance(response, HttpResponseRedirectBase):
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        return response

    return middleware


def limit_sessions(get_response: GetResponse) -> GetResponse:
    """End a session that was idle too long, or lasted too long however busy it was."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            _check_age(request, timezone.now())
        return get_response(request)

    return middleware


def _check_age(request: HttpRequest, at: datetime) -> None:
    now = at.timestamp()
    session = request.session
    began, seen = session.get(_BEGAN), session.get(_SEEN)
    idle = settings.SESSION_IDLE_STAFF if request.user.is_staff else settings.SESSION_IDLE
    is_old = began is not None and now - began > settings.SESSION_LONGEST.total_seconds()
    is_idle = seen is not None and now - seen > idle.total_seconds()
    if is_old or is_idle:
        UserSession.objects.filter(session_key=session.session_key).delete()
        logout(request)
        return
    if began is None:
        session[_BEGAN] = now
    if seen is None or now - seen > SEEN_EVERY:
        session[_SEEN] = now
        UserSession.objects.filter(session_key=session.session_key).update(last_seen_at=at)


def ask_staff_for_second_factor(get_response: GetResponse) -> GetResponse:
    """Let staff into the admin and the console only once they have shown a second factor.

    Who has none yet is led to the page that sets it up, and who has not shown it in this session
    to the page that asks for it; a client gets 403.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if not settings.STAFF_MFA or not needs_second_factor(request.path):
            return get_response(request)
        user = request.user
        if not user.is_authenticated or not user.is_staff or showed_second_factor(request):
            return get_response(request)
        if "text/html" not in request.headers.get("accept", ""):
            return problem_response(403, "second_factor_required", "Show a second factor first.")
        page = reverse("mfa_reauthenticate" if has_authenticator(user) else "mfa_activate_totp")
        return redirect(f"{page}?{urlencode({'next': request.get_full_path()})}")

    return middleware


def keep_private_answers_private(get_response: GetResponse) -> GetResponse:
    """Forbid caches to keep what was answered to somebody in particular."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        personal = "authorization" in request.headers or (
            settings.SESSION_COOKIE_NAME in request.COOKIES
        )
        if personal and not response.has_header("Cache-Control"):
            add_never_cache_headers(response)
        return response

    return middleware
