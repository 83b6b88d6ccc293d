"""The page and the JSON of what is known of the bandits; staff only."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.utils import timezone
from django.utils.timesince import timesince
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import StaffOrAnalytics
from bandits import charts, reports, services
from bandits.models import Bandit
from bandits.off_policy import NEWEST
from bandits.serializers import BanditsSerializer
from musicrec.renderers import JSONRenderer


class ContextualBanditsView(APIView):
    """Arms with what they earned, what is believed of them, and what others would have earned."""

    permission_classes = [StaffOrAnalytics]
    renderer_classes = [JSONRenderer, TemplateHTMLRenderer]
    template_name = "bandits/contextual_bandits.html"

    @extend_schema(responses=BanditsSerializer)
    def get(self, request: Request) -> Response:
        """Report on every bandit, as of its newest snapshot."""
        now = timezone.now()
        bandits = list(Bandit.objects.select_related("pinned_arm").order_by("key"))
        found = [reports.current(bandit, at=now) for bandit in bandits]
        if isinstance(request.accepted_renderer, TemplateHTMLRenderer):
            pages = [
                _page(report, now=now) | {"rebuild": services.rebuild_words(bandit)}
                for report, bandit in zip(found, bandits, strict=True)
            ]
            sizes = {"recent": reports.RECENT_CONTEXTS, "newest": NEWEST}
            return Response({"bandits": pages, **sizes})
        return Response({"bandits": found})

    def handle_exception(self, exc: Exception) -> Any:
        """Send a browser that is not logged in to the login page."""
        request = self.request
        renderer = getattr(request, "accepted_renderer", None)
        if isinstance(renderer, TemplateHTMLRenderer) and not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return super().handle_exception(exc)


def _page(report: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """Return the report with its charts, and numbers and times as a page says them."""
    played_always = report["off_policy"]["arms"]
    return {
        **report,
        "times": {
            name: _time(report[name], now=now)
            for name in ("generated_at", "last_decision_at", "last_reward_at")
        },
        "charts": charts.of_report(report),
        "arms": [
            arm
            | {
                "share_percent": _percent(arm["share"]),
                "best_percent": _percent(arm["probability_best"]),
                "played_always": played_always.get(arm["arm"]),
            }
            for arm in report["arms"]
        ],
        "over_time_rows": [
            {
                "at": datetime.fromisoformat(point["at"]),
                "shares": [
                    _percent(point["probability_best"].get(arm["arm"])) or "–"
                    for arm in report["arms"]
                ],
            }
            for point in reversed(report["over_time"])
        ],
        "situations": [
            situation
            | {
                "chart": chart,
                "rows": [
                    {
                        "arm": arm["arm"],
                        **belief,
                        "best_percent": _percent(belief["probability_best"]),
                    }
                    for arm in report["arms"]
                    if (belief := situation["arms"].get(arm["arm"]))
                ],
            }
            for situation, chart in zip(
                report["situations"], charts.of_situations(report), strict=True
            )
        ],
    }


def _time(text: str | None, *, now: datetime) -> dict[str, Any] | None:
    """Return a time and how long ago it was, in words."""
    if text is None:
        return None
    at = datetime.fromisoformat(text)
    recent = now - at < timedelta(minutes=1)
    return {"at": at, "ago": "just now" if recent else f"{timesince(at, now, depth=1)} ago"}


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.1%}"
