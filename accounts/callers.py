"""For whom a request speaks."""

import structlog
from django.http import Http404
from rest_framework.request import Request

from accounts.models import Listener
from accounts.services import listener_of


def caller(request: Request, user_id: str | None = None) -> Listener:
    """Return the listener that a request speaks for: the one who is logged in.

    Raises:
        Http404: it names another listener, whether or not there is such a one.
    """
    listener = listener_of(request.user)
    if user_id is not None and user_id not in (listener.key, str(listener.uuid)):
        raise Http404("There is no such listener.")
    structlog.contextvars.bind_contextvars(listener=listener.uuid.hex)
    return listener
