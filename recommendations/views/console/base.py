"""What the console's pages share: who may see them, two faces, and polling that costs little."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from django.views import View
from rest_framework.permissions import BasePermission
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from musicrec.renderers import JSONRenderer

SEE = "recommendations.view_systemreport"
"""What everybody who works with the console may."""


class MaySee(BasePermission):
    """Staff with the permission that the view names."""

    message = "Your role does not include this page; an administrator can change that."

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether this person may see the page."""
        user = request.user
        return user.is_authenticated and user.is_staff and user.has_perm(view.permission)


class ConsoleView(APIView):
    """A page for people, JSON for programs, from one report.

    A page that refreshes itself asks for its fragment (`HX-Request`), with the ETag of the one it
    shows, and gets 304 while nothing changed.
    """

    permission: ClassVar[str] = SEE
    permission_classes = (MaySee,)
    renderer_classes = (JSONRenderer, TemplateHTMLRenderer)
    template_name: ClassVar[str]
    fragment_name: ClassVar[str] = ""

    @property
    def is_page(self) -> bool:
        """Whether the answer is HTML."""
        return isinstance(self.request.accepted_renderer, TemplateHTMLRenderer)

    def page(self, context: dict[str, Any]) -> Response:
        """Return the page, or the part of it that changes."""
        is_fragment = bool(self.fragment_name) and "HX-Request" in self.request.headers
        name = self.fragment_name if is_fragment else self.template_name
        response = Response(context | {"fragment_name": self.fragment_name}, template_name=name)
        patch_vary_headers(response, ["HX-Request"])
        patch_cache_control(response, private=True, no_cache=True)
        if is_fragment:
            response.add_post_render_callback(self._not_modified)
        return response

    def _not_modified(self, response: HttpResponse) -> HttpResponseBase | None:
        etag = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
        response.headers["ETag"] = etag
        return get_conditional_response(self.request, etag=etag, response=response)

    def handle_exception(self, exc: Exception) -> HttpResponseBase:
        """Send a browser that is not logged in to the login page; tell others why not."""
        renderer = getattr(self.request, "accepted_renderer", None)
        if isinstance(renderer, TemplateHTMLRenderer):
            if not self.request.user.is_authenticated:
                return redirect_to_login(self.request.get_full_path())
            if not MaySee().has_permission(self.request, self):
                raise PermissionDenied(MaySee.message)
        return super().handle_exception(exc)


class ConsolePage(View):
    """A page with forms; `permission` to see it, `act_permission` to send one."""

    permission: ClassVar[str] = SEE
    act_permission: ClassVar[str] = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Let only those in who may."""
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        needed = self.permission
        if request.method == "POST" and self.act_permission:
            needed = self.act_permission
        if not (request.user.is_staff and request.user.has_perm(needed)):
            raise PermissionDenied(MaySee.message)
        response = super().dispatch(request, *args, **kwargs)
        patch_cache_control(response, private=True, no_cache=True)
        return response

    def render(self, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
        """Return the page."""
        return render(self.request, template, context, status=status)
