"""How the API is described: who may call, every error, and an example of every request."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework.permissions import AllowAny, IsAdminUser, IsAuthenticated
from rest_framework.renderers import TemplateHTMLRenderer

from accounts.permissions import MayCall, ServicesOnly, StaffOrAnalytics, scope_of
from musicrec.examples import REQUESTS, RESPONSES
from musicrec.exceptions import PROBLEM

PROBLEM_SCHEMA = {
    "type": "object",
    "description": "Problem details, RFC 9457.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "for a person"},
        "code": {"type": "string", "description": "for a program; stable"},
        "request_id": {
            "type": "string",
            "nullable": True,
            "description": "to quote when asking for help",
        },
        "errors": {
            "type": "object",
            "description": "what is wrong with each field, by its path",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
_REFERENCE = {"$ref": "#/components/schemas/Problem"}

_ERRORS: dict[int, tuple[str, str, str, str]] = {
    400: ("The request makes no sense.", "Bad Request", "invalid", "limit: This is no number."),
    401: (
        "Nobody is logged in, or the token is not valid.",
        "Unauthorized",
        "not_authenticated",
        "Authentication credentials were not provided.",
    ),
    403: (
        "The caller may not do this.",
        "Forbidden",
        "permission_denied",
        "You do not have permission to perform this action.",
    ),
    404: ("There is no such thing.", "Not Found", "not_found", "There is no such track."),
    409: (
        "It contradicts what is there.",
        "Conflict",
        "event_id_reused",
        "The event id 'e1' was used for another response.",
    ),
    413: (
        "The body is too large.",
        "Request Entity Too Large",
        "too_large",
        "The body is larger than 1048576 bytes.",
    ),
    415: (
        "The body is of another type.",
        "Unsupported Media Type",
        "unsupported_media_type",
        'Unsupported media type "text/plain" in request.',
    ),
    406: (
        "The answer cannot be of the type asked for.",
        "Not Acceptable",
        "not_acceptable",
        "Could not satisfy the request Accept header.",
    ),
    429: (
        "Too many calls; Retry-After says when to come again.",
        "Too Many Requests",
        "throttled",
        "Request was throttled. Expected available in 12 seconds.",
    ),
    503: (
        "The database is away, or there is too much to do; Retry-After says when to come again.",
        "Service Unavailable",
        "overloaded",
        "There is too much to do at the moment. Please try again shortly.",
    ),
}
_PAGE = {
    "text/html": {
        "schema": {"type": "string"},
        "examples": {"page": {"value": "<!doctype html><title>musicrec</title>…"}},
    }
}
_TO_LOGIN = {"description": "The page was asked for by nobody: to the page where one logs in."}
_WITH_BODY = ("POST", "PUT", "PATCH")


def _error(status: int) -> dict[str, Any]:
    description, title, code, detail = _ERRORS[status]
    value: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "0a0f7bd2-31f5-4b9c-9d43-9d9a5c7f7f10",
    }
    if status == 400:
        value["errors"] = {"limit": ["This is no number."]}
    answer: dict[str, Any] = {
        "description": description,
        "content": {PROBLEM: {"schema": _REFERENCE, "examples": {code: {"value": value}}}},
    }
    if status in (429, 503):
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return answer


class DescribedSchema(AutoSchema):
    """drf-spectacular's description, with what each of our operations has in common."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """Return the operation with its errors, its examples and who may call it."""
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        told = operation.get("description", "").strip()
        operation["description"] = f"{told}\n\n**Who may call:** {self._who()}".strip()
        has_page = TemplateHTMLRenderer in self.view.renderer_classes
        for status in self._errors(operation):
            answer = operation["responses"].setdefault(str(status), _error(status))
            if has_page:  # the same, for whoever asked for the page
                answer["content"] |= _PAGE
        if has_page:
            operation["responses"].setdefault("302", dict(_TO_LOGIN))
        name = f"{self.method} {self.path}"
        for content in operation.get("requestBody", {}).get("content", {}).values():
            if name in REQUESTS and content is not None:
                content["examples"] = {"example": {"value": REQUESTS[name]}}
        for status, answer in operation["responses"].items():
            json = answer.get("content", {}).get("application/json")
            if status.startswith("2") and json is not None and name in RESPONSES:
                json["examples"] = {"example": {"value": RESPONSES[name]}}
        return operation

    def _permissions(self) -> list[Any]:
        # A view may decide by method, which it reads off its request.
        return list(self.view.get_permissions())

    def _who(self) -> str:
        permissions = self._permissions()
        kinds = tuple(type(permission) for permission in permissions)
        scope = scope_of(self.view, self.method)
        key = f"a service whose key has the scope `{scope}`"
        if ServicesOnly in kinds:
            return f"{key}, for its own listeners."
        if StaffOrAnalytics in kinds:
            return "staff, or a service whose key has the scope `analytics`."
        if IsAdminUser in kinds or any(kind.__name__ == "MaySee" for kind in kinds):
            return "staff who may see this."
        if not kinds or AllowAny in kinds:
            return "everybody."
        if MayCall in kinds and scope is not None:
            return f"a listener, for themselves; or {key}, for its own listeners."
        if MayCall in kinds or IsAuthenticated in kinds:
            return "a listener, for themselves."
        return "whoever has the right to it."

    def _errors(self, operation: dict[str, Any]) -> list[int]:
        errors = [400, 401, 403, 404, 406, 429, 503]
        if self.method in _WITH_BODY:
            errors += [409, 413, 415]
        return sorted(errors)


def add_problem(result: dict[str, Any], generator: Any, request: Any, public: bool) -> Any:
    """Put the schema of problem details beside the others."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    return result
