"""Broken rules, and the one place where any error becomes JSON."""

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler


class RuleViolation(Exception):
    """An act that the domain does not allow; knows nothing of HTTP.

    Attributes:
        code: stable and machine-readable; clients may depend on it.
    """

    code = "rule_violation"


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Answer a broken rule with 409 and its code, and a huge body with 413; the rest is DRF's."""
    if isinstance(exc, RuleViolation):
        return Response({"code": exc.code, "detail": str(exc)}, status=status.HTTP_409_CONFLICT)
    if isinstance(exc, RequestDataTooBig):
        detail = f"The body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes."
        return Response({"detail": detail}, status=status.HTTP_413_REQUEST_ENTITY_TOO_LARGE)
    return drf_exception_handler(exc, context)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an unknown address: a page for a browser, JSON for a client."""
    if _wants_page(request):
        return defaults.page_not_found(request, exception)
    return JsonResponse({"detail": "There is nothing at this address."}, status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault of ours: a page for a browser, JSON for a client; no detail to either."""
    if _wants_page(request):
        return defaults.server_error(request)
    detail = "Something went wrong on our side. Nothing was changed."
    return JsonResponse({"code": "server_error", "detail": detail}, status=500)


def _wants_page(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("accept", "")
