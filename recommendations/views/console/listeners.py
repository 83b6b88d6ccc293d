"""One listener's taste, history and lists, and the whole way of one list. Every look is logged."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from accounts.models import Listener
from bandits.models import Decision
from experiments.models import Exposure
from musicrec.exceptions import RuleViolation
from recommendations.models import Feedback, Hidden, Recommendation, Taste, Track
from recommendations.services import audit, inspecting
from recommendations.serving import state
from recommendations.serving.strategies import STRATEGIES
from recommendations.views.console.base import ConsolePage

INSPECT = "recommendations.inspect_listener"
SHOWN = 25


class ListenersView(ConsolePage):
    """Find a listener, or take one who was here last."""

    permission = INSPECT

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the latest, or go to the one who is named."""
        key = request.GET.get("q", "").replace("\x00", "").strip()[:254]
        if key:
            found = list(find_listeners(key, limit=2))
            if len(found) == 1:
                return redirect("listener", key=found[0].uuid)
        latest = (
            Taste.objects.filter(last_seen_at__isnull=False)
            .select_related("listener")
            .order_by("-last_seen_at")[:SHOWN]
        )
        return self.render(
            "console/listeners.html",
            {
                "q": key,
                "found": find_listeners(key, limit=SHOWN) if key else None,
                "latest": latest,
            },
        )


def find_listeners(key: str, *, limit: int) -> Any:
    """Return the listeners with this id, UUID or beginning of an email."""
    by_id = Listener.objects.known_as(key).values("pk")
    by_email = Listener.objects.filter(user__email__istartswith=key).values("pk")[:limit]
    return Listener.objects.filter(Q(pk__in=by_id) | Q(pk__in=by_email)).order_by("pk")[:limit]


class ListenerView(ConsolePage):
    """One listener."""

    permission = INSPECT

    def get(self, request: HttpRequest, key: uuid.UUID) -> HttpResponse:
        """Show taste, history and lists, and log that somebody looked."""
        listener = get_object_or_404(
            Listener.objects.select_related("preferences", "user", "taste"), uuid=key
        )
        audit.note(by=request.user, act=audit.LOOKED_AT, subject=listener, at=timezone.now())
        stage = state.current()
        taste = getattr(listener, "taste", None)
        return self.render(
            "console/listener.html",
            {
                "listener": listener,
                "preferences": getattr(listener, "preferences", None),
                "taste": taste,
                "summary": inspecting.summary_of(taste, stage) if taste else None,
                "hidden": Hidden.objects.filter(listener=listener).select_related(
                    "track__artist", "artist"
                )[:SHOWN],
                "exposures": Exposure.objects.filter(listener=listener)
                .select_related("phase__experiment", "variant")
                .order_by("-pk")[:10],
                "history": Feedback.objects.by(listener)
                .select_related("track__artist")
                .order_by("-occurred_at")[:SHOWN],
                "slates": Recommendation.objects.of(listener).order_by("-created_at")[:SHOWN],
            },
        )


class SlateView(ConsolePage):
    """The whole way of one list, and what another strategy would have made."""

    permission = INSPECT

    def get(self, request: HttpRequest, key: uuid.UUID) -> HttpResponse:
        """Show it, computed again as of its time, and log that somebody looked."""
        slate = get_object_or_404(
            Recommendation.objects.select_related("listener__preferences", "model_version"), pk=key
        )
        audit.note(
            by=request.user,
            act=audit.LOOKED_AT,
            subject=slate.listener or slate,
            at=timezone.now(),
            words=f"list {slate.pk}",
        )
        what_if = request.GET.get("what_if", "")
        if what_if not in STRATEGIES:
            what_if = ""
        tracks = Track.objects.select_related("artist").in_bulk(slate.tracks)
        responses = {
            row.track_id: row
            for row in Feedback.objects.filter(recommendation=slate).order_by("occurred_at")
        }
        decision = Decision.objects.filter(request_id=slate.pk).select_related("bandit").first()
        context: dict[str, Any] = {
            "slate": slate,
            "listener": slate.listener,
            "decision": decision,
            "probabilities": sorted(slate.probabilities.items(), key=lambda item: -item[1]),
            "shown": [
                {
                    "track": tracks.get(pk),
                    "score": score,
                    "expected": slate.predictions[place] if slate.predictions else None,
                    "response": responses.get(pk),
                }
                for place, (pk, score) in enumerate(zip(slate.tracks, slate.scores, strict=True))
            ],
            "strategies": [name for name in STRATEGIES if name != slate.strategy],
            "what_if": what_if,
        }
        if slate.listener is not None:
            try:
                context["replay"], context["other"] = inspecting.replay(slate, what_if=what_if)
            except RuleViolation as error:
                context["problem"] = str(error)
        return self.render("console/slate.html", context)
