"""Visitors: browser sessions without an account, which may look around."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.http import HttpRequest
from rest_framework.authentication import CSRFCheck
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.models import Listener
from musicrec.limits import counts

SESSION_KEY = "visitor"
NEW_A_MINUTE = 20
"""New visitors a minute from one address."""


def may_visit(request: Request) -> bool:
    """Return whether a request without an account comes from a browser that has seen our pages.

    It shows the CSRF cookie and its token: so no other site can make visitors, and a client that
    forgot its token is told so rather than served as somebody new.
    """
    if settings.CSRF_COOKIE_NAME not in request.COOKIES:
        return False
    check = CSRFCheck(lambda _: None)
    check.process_request(request._request)
    return check.process_view(request._request, None, (), {}) is None


def visitor_of(request: Request) -> Listener:
    """Return the listener that stands for a browser session, a new one at the first call.

    Raises:
        Throttled: too many new visitors came from the address.
    """
    known = visitor_in(request._request)
    if known is not None:
        return known
    address = hashlib.sha256(BaseThrottle().get_ident(request).encode()).hexdigest()[:32]
    if not counts().add(f"visitor:{address}", limit=NEW_A_MINUTE):
        raise Throttled(detail="Too many visitors from this address. Sign up, or wait a minute.")
    visitor = Listener.objects.create(is_visitor=True)
    request.session[SESSION_KEY] = str(visitor.uuid)
    return visitor


def visitor_in(request: HttpRequest) -> Listener | None:
    """Return the visitor of a browser session, with stated preferences loaded; None without one."""
    key = request.session.get(SESSION_KEY)
    if key is None:
        return None
    return Listener.objects.select_related("preferences").filter(uuid=key, is_visitor=True).first()


def forget_visitor(request: HttpRequest) -> None:
    """Part a session from its visitor."""
    request.session.pop(SESSION_KEY, None)
