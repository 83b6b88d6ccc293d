"""Broken rules, and the one place where any error becomes JSON."""

from typing import Any

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
    """Answer a broken rule with 409 and its code; leave the rest to DRF."""
    if isinstance(exc, RuleViolation):
        return Response({"code": exc.code, "detail": str(exc)}, status=status.HTTP_409_CONFLICT)
    return drf_exception_handler(exc, context)
