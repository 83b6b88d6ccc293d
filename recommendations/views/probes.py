"""What load balancers and monitors ask: alive, ready, and the counts."""

import os
import secrets
import time

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

from recommendations.gauges import DatabaseCollector
from recommendations.serving import state

MIGRATIONS_SECONDS = 60
"""Seconds for which it is believed that no migration is missing; looking costs 50 ms."""

_migrated_until = 0.0


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
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        checks["database"] = "ok"
        missing = _missing_migrations()
        checks["migrations"] = "ok" if not missing else f"{missing} not applied"
        if not missing:
            stage = state.current()
            checks["catalogue"] = "ok" if len(stage.catalogue) else "empty"
            checks["model"] = stage.degraded or "ok"
    except DatabaseError:
        checks.setdefault("database", "does not answer")
        if checks["database"] == "ok":  # it went away in between
            checks["database"] = "does not answer"
        connection.close()
    ready = all(checks.get(name) == "ok" for name in ("database", "migrations", "catalogue"))
    answer = {"status": "ready" if ready else "not ready", "checks": checks}
    return JsonResponse(answer, status=200 if ready else 503)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer the counts in Prometheus's format, to whoever shows the token; 404 to all others."""
    given = request.headers.get("Authorization", "")
    wanted = f"Bearer {settings.METRICS_TOKEN}"
    if not settings.METRICS_TOKEN or not secrets.compare_digest(given.encode(), wanted.encode()):
        raise Http404
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        registry.register(DatabaseCollector())
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    registry = CollectorRegistry()
    registry.register(DatabaseCollector())
    text = generate_latest(REGISTRY) + generate_latest(registry)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def forget() -> None:
    """Look for missing migrations anew at the next call."""
    global _migrated_until
    _migrated_until = 0.0


def _missing_migrations() -> int:
    global _migrated_until
    if time.monotonic() < _migrated_until:
        return 0
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    if not missing:
        _migrated_until = time.monotonic() + MIGRATIONS_SECONDS
    return missing
