"""What is done to every request around everything else."""

import logging
import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import resolve
from django.utils import timezone

from musicrec import metrics
from musicrec.exceptions import problem_response
from recommendations.services.request_times import request_times

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
                return problem_response(404, "not_found", "There is nothing at this address.")
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


def refuse_nul_in_addresses(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answer 404 to an address that holds NUL: Postgres holds no such text, so nothing is there."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path_info:
            return problem_response(404, "not_found", "There is nothing at this address.")
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
        return problem_response(
            503,
            "database_away",
            "The database does not answer. Nothing was changed; please try again.",
            headers={"Retry-After": str(self.RETRY_AFTER), "Cache-Control": "no-store"},
        )


def measure_requests(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Measure every request: for Prometheus by view, for the system page by route and strategy."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request_times.keep_flushing()
        began = time.perf_counter()
        with metrics.IN_PROGRESS.track_inprogress():
            response = get_response(request)
        seconds = time.perf_counter() - began
        method = request.method if request.method in _METHODS else "other"
        metrics.REQUESTS.labels(_view(request), method, str(response.status_code)).observe(seconds)
        answer = getattr(response, "data", None)
        strategy = answer.get("strategy") if isinstance(answer, dict) else None
        request_times.add(
            f"{method} {_route(request, response)}",
            duration_ms=1000 * seconds,
            status=response.status_code,
            at=timezone.now(),
            strategy=strategy if isinstance(strategy, str) else "",
            is_fallback=bool(strategy and answer.get("fallback")),
        )
        return response

    return middleware


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


# Names and routes, never what a caller wrote: of that there is no end.


def _view(request: HttpRequest) -> str:
    match = request.resolver_match
    return (match.view_name or match.route or "unnamed") if match else "none"


def _route(request: HttpRequest, response: HttpResponse) -> str:
    match = request.resolver_match
    if match is None:
        return "(no such address)" if response.status_code >= 400 else "(a file)"
    return "admin/" if "admin" in match.namespaces else match.route or "/"
