"""Broken rules, and the one place where any error becomes problem details (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from musicrec.parsers import TooLarge
from musicrec.renderers import JSONRenderer

PROBLEM = "application/problem+json"


class RuleViolation(Exception):
    """An act that the domain does not allow; knows nothing of HTTP.

    Attributes:
        code: stable and machine-readable; clients may depend on it.
    """

    code = "rule_violation"


def problem(
    status_code: int, code: str, detail: str, errors: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """Return problem details.

    Args:
        status_code: of the answer.
        code: stable and machine-readable; clients may depend on it.
        detail: for a person.
        errors: what is wrong with each field of the request, by the field's path.
    """
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status_code).phrase,
        "status": status_code,
        "detail": detail,
        "code": code,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
    }
    return told | ({"errors": errors} if errors else {})


def problem_response(
    status_code: int, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> JsonResponse:
    """Return problem details as an answer, outside of the API's views."""
    body = problem(status_code, code, detail)
    return JsonResponse(body, status=status_code, content_type=PROBLEM, headers=headers)


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Answer a refusal with problem details; a broken rule with 409; let faults of ours pass."""
    if isinstance(exc, RuleViolation):
        code, detail, errors = exc.code, str(exc), None
        response = Response(status=status.HTTP_409_CONFLICT)
    else:
        if isinstance(exc, RequestDataTooBig):
            exc = TooLarge()
        elif isinstance(exc, Http404):
            exc = exceptions.NotFound(*exc.args)
        handled = drf_exception_handler(exc, context)
        if handled is None:
            return None
        response = handled
        code, detail, errors = _told(exc)
    response.data = problem(response.status_code, code, detail, errors)
    request = context.get("request")
    renderer = getattr(request, "accepted_renderer", None)
    if renderer is None or renderer.format != "html":
        response.content_type = PROBLEM
        if renderer is not None:  # a refusal is JSON also to whoever asked for CSV
            request.accepted_renderer = JSONRenderer()
    return response


def _told(exc: Exception) -> tuple[str, str, dict[str, list[str]] | None]:
    """Return code, detail and the fields' errors of a refusal."""
    if not isinstance(exc, exceptions.APIException):  # Django's own PermissionDenied
        return "permission_denied", "You may not do this.", None
    if isinstance(exc, exceptions.ValidationError):
        errors = _flat(exc.detail)
        first, texts = next(iter(errors.items()))
        detail = texts[0] if first == "non_field_errors" else f"{first}: {texts[0]}"
        return "invalid", detail, errors
    detail = str(exc.detail)
    if detail.startswith("CSRF Failed"):
        return "csrf_failed", detail, None
    code = exc.get_codes()
    return (code if isinstance(code, str) else exc.default_code), detail, None


def _flat(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Return DRF's nested errors by dotted paths: ``context.mood``, ``genres.2``."""
    if isinstance(detail, Mapping):
        parts = detail.items()
    elif isinstance(detail, list) and any(isinstance(item, (Mapping, list)) for item in detail):
        parts = ((str(number), item) for number, item in enumerate(detail) if item)
    else:
        texts = detail if isinstance(detail, list) else [detail]
        return {path or "non_field_errors": [str(text) for text in texts]}
    found: dict[str, list[str]] = {}
    for name, item in parts:
        found |= _flat(item, f"{path}.{name}" if path else str(name))
    return found or {path or "non_field_errors": ["This is not valid."]}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what cannot even be looked at: a page for a browser, problem details for a client."""
    if _wants_page(request):
        return defaults.bad_request(request, exception)
    return problem_response(400, "bad_request", "The request cannot be understood.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what is forbidden: a page for a browser, problem details for a client."""
    if _wants_page(request):
        return defaults.permission_denied(request, exception)
    return problem_response(403, "permission_denied", "You may not do this.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a change without the token of its session."""
    if _wants_page(request):
        return defaults.permission_denied(request, exceptions.PermissionDenied(reason))
    return problem_response(403, "csrf_failed", f"CSRF Failed: {reason}")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an unknown address: a page for a browser, problem details for a client."""
    if _wants_page(request):
        return defaults.page_not_found(request, exception)
    return problem_response(404, "not_found", "There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault of ours: a page for a browser, or problem details; no secret to either."""
    if _wants_page(request):
        return defaults.server_error(request)
    detail = "Something went wrong on our side. Nothing was changed."
    return problem_response(500, "server_error", detail)


def _wants_page(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("accept", "")
