"""The front page, and whether the process is alive and ready."""

from typing import Any

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from redis.exceptions import RedisError
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer, TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from recommendations.core.cover import cover_svg
from recommendations.reports import example_list, status_of
from recommendations.serving import state

STATUS_SECONDS = 10


class HomeView(APIView):
    """What this is, and how it is."""

    permission_classes = (AllowAny,)
    renderer_classes = (JSONRenderer, TemplateHTMLRenderer)

    @extend_schema(responses={200: dict})
    def get(self, request: Request) -> Response:
        """Answer the system's state: JSON for a client, a page for a browser."""
        status = _cached_status()
        if request.accepted_renderer.format == "html":
            return Response(
                {"status": status, "examples": _with_covers(example_list())},
                template_name="home.html",
            )
        return Response({"name": "musicrec", "status": status, "docs": "/docs"})


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """Answer 200 while the process runs."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when a request could be served: database, migrations, catalogue; else 503.

    A missing model is no reason not to be ready: lists come from content and trends then.
    """
    checks: dict[str, str] = {}
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        checks["database"] = "ok"
        checks["migrations"] = "ok" if not pending else f"{len(pending)} not applied"
        if not pending:
            stage = state.current()
            checks["catalogue"] = "ok" if len(stage.catalogue) else "empty"
            checks["model"] = stage.degraded or "ok"
    except DatabaseError:
        checks["database"] = "does not answer"
    ready = all(checks.get(name) == "ok" for name in ("database", "migrations", "catalogue"))
    answer = {"status": "ready" if ready else "not ready", "checks": checks}
    return JsonResponse(answer, status=200 if ready else 503)


def _cached_status() -> dict[str, Any] | None:
    """Return the status, counted at most every few seconds; None without a database."""
    try:
        status = cache.get("status")
    except RedisError:
        status = None
    if status is None:
        try:
            status = status_of()
        except DatabaseError:
            return None
        try:
            cache.set("status", status, STATUS_SECONDS)
        except RedisError:
            return status
    return status


def _with_covers(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**item, "cover": cover_svg(**item["cover"])} for item in examples]
