"""Who may call an endpoint: a listener, staff, or a service with the right scope."""

from typing import Any, NoReturn

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.service_accounts import Scope, ServiceCaller
from accounts.visitors import may_visit


def _require_scope(user: ServiceCaller, scope: str | None) -> None:
    if scope is None:
        raise PermissionDenied("This is not for services.", code="not_for_services")
    if scope not in user.scopes:
        _lacks(scope)


def _lacks(scope: str) -> NoReturn:
    raise PermissionDenied(f"The key lacks the scope {scope!r}.", code="missing_scope")


def scope_of(view: Any, method: str) -> str | None:
    """Return the scope that a service needs for a method of a view; None where it may not call.

    A view names it by `service_scope`, or by method in `service_scopes`.
    """
    by_method = getattr(view, "service_scopes", {})
    scope: str | None = by_method.get(method, getattr(view, "service_scope", None))
    return scope


class MayCall(BasePermission):
    """Whoever is logged in; a service where the view names a scope, and the key has it.

    Where a view says `visitors_may_call`, a browser session without an account as well.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the caller may."""
        if isinstance(request.user, ServiceCaller):
            _require_scope(request.user, scope_of(view, request.method or ""))
            return True
        if request.user and request.user.is_authenticated:
            return True
        return getattr(view, "visitors_may_call", False) and may_visit(request)


class ServicesOnly(BasePermission):
    """A service whose key has the scope that the view names."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the caller may."""
        if isinstance(request.user, ServiceCaller):
            _require_scope(request.user, scope_of(view, request.method or ""))
            return True
        if request.user and request.user.is_authenticated:
            raise PermissionDenied("This is for services.", code="services_only")
        return False


class StaffOrAnalytics(BasePermission):
    """Staff, and services that may read reports."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the caller may."""
        if isinstance(request.user, ServiceCaller):
            _require_scope(request.user, Scope.ANALYTICS)
            return True
        return bool(request.user and request.user.is_staff)
