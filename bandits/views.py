"""The page and the JSON of what is known of the bandits; staff only."""

from datetime import datetime
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAdminUser
from rest_framework.renderers import JSONRenderer, TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bandits import charts, reports
from bandits.models import Bandit
from bandits.serializers import BanditsSerializer


class ContextualBanditsView(APIView):
    """Arms with what they earned, what is believed of them, and what others would have earned."""

    permission_classes = [IsAdminUser]
    renderer_classes = [JSONRenderer, TemplateHTMLRenderer]
    template_name = "bandits/contextual_bandits.html"

    @extend_schema(responses=BanditsSerializer)
    def get(self, request: Request) -> Response:
        """Report on every bandit, as of its newest snapshot."""
        now = timezone.now()
        found = [
            reports.current(bandit, at=now)
            for bandit in Bandit.objects.select_related("pinned_arm").order_by("key")
        ]
        if isinstance(request.accepted_renderer, TemplateHTMLRenderer):
            pages = [_page(report) for report in found]
            return Response({"bandits": pages, "recent": reports.RECENT_CONTEXTS})
        return Response({"bandits": found})

    def handle_exception(self, exc: Exception) -> Any:
        """Send a browser that is not logged in to the login page."""
        request = self.request
        renderer = getattr(request, "accepted_renderer", None)
        if isinstance(renderer, TemplateHTMLRenderer) and not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return super().handle_exception(exc)


def _page(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report with its charts, and with times as times."""
    times = {
        name: datetime.fromisoformat(report[name]) if report[name] else None
        for name in ("generated_at", "last_decision_at", "last_reward_at")
    }
    return {
        **report,
        **times,
        "charts": charts.of_report(report),
        "arms": [
            arm
            | {
                "share_percent": _percent(arm["share"]),
                "best_percent": _percent(arm["probability_best"]),
            }
            for arm in report["arms"]
        ],
        "situations": [
            situation | {"chart": charts.of_situation(situation)}
            for situation in report["situations"]
        ],
    }


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.1%}"
