"""For whom a request speaks."""

import structlog
from django.http import Http404
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from accounts.models import Listener
from accounts.service_accounts import ServiceCaller
from accounts.services import listener_of
from accounts.visitors import visitor_of


def caller(request: Request, user_id: str | None = None, *, create: bool = False) -> Listener:
    """Return the listener that a request speaks for.

    That is the one who is logged in; or the visitor that a browser session without an account is,
    where the view's permission let it in; or for a service, its own listener with the external id
    `user_id`, with the stated preferences loaded.

    Args:
        request: made by a listener, or by a service that the view's permission let in.
        user_id: whom it names.
        create: whether a service's listener of whom nothing is known yet is made.

    Raises:
        Http404: it names another listener, whether or not there is such a one.
        ValidationError: a service names nobody.
    """
    if isinstance(request.user, ServiceCaller):
        listener = _listener_of_service(request.user, user_id, create=create)
    else:
        is_known = request.user.is_authenticated
        listener = listener_of(request.user) if is_known else visitor_of(request)
        if user_id is not None and user_id not in (listener.key, str(listener.uuid)):
            raise Http404("There is no such listener.")
    structlog.contextvars.bind_contextvars(listener=listener.uuid.hex)
    return listener


def _listener_of_service(caller: ServiceCaller, user_id: str | None, *, create: bool) -> Listener:
    if not user_id:
        raise ValidationError({"user_id": "A service names the listener it speaks for."})
    own = Listener.objects.of_service(caller.service).select_related("preferences")
    listener = own.filter(external_id=user_id).first()
    if listener is None and create:
        Listener.objects.bulk_create(
            [Listener(service=caller.service, external_id=user_id)], ignore_conflicts=True
        )
        listener = own.get(external_id=user_id)
    if listener is None:
        raise Http404("There is no such listener.")
    return listener
