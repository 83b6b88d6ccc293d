"""What is done to every request before anything else looks at it."""

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import resolve

logger = logging.getLogger(__name__)

PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""What load balancers and monitors ask, by address and not by name, over plain HTTP."""


def answer_probes(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answer probes before the Host and the scheme are looked at; they use neither."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info in PROBES:
            try:
                return resolve(request.path_info).func(request)
            except Http404:
                return JsonResponse({"detail": "There is nothing at this address."}, status=404)
        return get_response(request)

    return middleware


def drop_cookies_with_nul(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Drop cookies that hold NUL, which a quoted one can: Postgres would not take it as a key."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.COOKIES = {
            name: value for name, value in request.COOKIES.items() if "\x00" not in value
        }
        return get_response(request)

    return middleware


class DatabaseAway:
    """Answers 503 with Retry-After, and not 500, while the database does not answer."""

    RETRY_AFTER = 5

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; also where a middleware below, and not the view, asked the database."""
        try:
            return self._get_response(request)
        except (OperationalError, InterfaceError) as error:
            return self._answer(error)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer for a view that the database failed."""
        if isinstance(exception, (OperationalError, InterfaceError)):
            return self._answer(exception)
        return None

    def _answer(self, error: Exception) -> HttpResponse:
        logger.error("the database does not answer: %s", str(error).splitlines()[0])
        body = {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "The database does not answer. Nothing was changed; please try again.",
            "code": "database_away",
        }
        return JsonResponse(
            body,
            status=503,
            content_type="application/problem+json",
            headers={"Retry-After": str(self.RETRY_AFTER), "Cache-Control": "no-store"},
        )
