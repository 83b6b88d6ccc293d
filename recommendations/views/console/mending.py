"""Effects that failed too often, and trying them again."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recommendations.models import OutboxEvent
from recommendations.services import audit, effects
from recommendations.views.console.base import ConsolePage, ConsoleView

SHOWN = 100


class DeadLettersView(ConsoleView):
    """The outbox: what is owed, and what waits for a person."""

    permission = "recommendations.view_outboxevent"
    template_name = "console/dead_letters.html"

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Report on the outbox."""
        at = timezone.now()
        backlog = OutboxEvent.objects.backlog(at=at)
        dead = list(OutboxEvent.objects.dead().select_related("feedback").order_by("pk")[:SHOWN])
        if not self.is_page:
            return Response(
                {
                    "open": backlog.n_open,
                    "dead": backlog.n_dead,
                    "oldest_seconds": backlog.oldest_seconds,
                    "dead_letters": [
                        {
                            "id": event.pk,
                            "kind": event.kind,
                            "created_at": event.created_at,
                            "attempts": event.attempts,
                            "error": event.last_error,
                        }
                        for event in dead
                    ],
                }
            )
        waiting = (
            OutboxEvent.objects.open()
            .filter(attempts__lt=OutboxEvent.MAX_ATTEMPTS)
            .select_related("feedback")
            .order_by("pk")[:20]
        )
        return self.page({"backlog": backlog, "dead": dead, "waiting": waiting, "shown": SHOWN})


class RetryView(ConsolePage):
    """Let dead letters be tried again."""

    permission = "recommendations.view_outboxevent"
    act_permission = "recommendations.change_outboxevent"

    def post(self, request: HttpRequest) -> HttpResponse:
        """Try the chosen ones again, or all."""
        chosen = None
        if "all" not in request.POST:
            keys = request.POST.getlist("event")
            chosen = [int(k) for k in keys if k.isascii() and k.isdigit() and len(k) < 18]
        n = effects.revive(chosen, at=timezone.now())
        if n:
            audit.note(
                by=request.user,
                act="retried",
                subject=f"{n} dead letters",
                at=timezone.now(),
                details={"events": chosen or "all"},
            )
            messages.success(
                request,
                f"{n} {'effect' if n == 1 else 'effects'} will be tried again within a second.",
            )
        else:
            messages.warning(request, "Choose at least one that still waits for you.")
        return redirect("dead-letters")
