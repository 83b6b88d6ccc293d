"""One field that finds listeners, tracks, lists and experiments."""

from __future__ import annotations

import contextlib
import uuid

from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from experiments.models import Experiment
from recommendations.models import Recommendation, Track
from recommendations.views.console.base import ConsolePage
from recommendations.views.console.listeners import INSPECT, find_listeners

SHOWN = 10


class SearchView(ConsolePage):
    """What is found, as far as one's role reaches."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show it."""
        q = request.GET.get("q", "").replace("\x00", "").strip()[:200]
        may = request.user.has_perm
        found: dict[str, object] = {}
        if q:
            if may(INSPECT):
                found["listeners"] = list(find_listeners(q, limit=SHOWN))
                with contextlib.suppress(ValueError):
                    found["slate"] = Recommendation.objects.filter(pk=uuid.UUID(q)).first()
            if may("recommendations.view_track"):
                found["tracks"] = list(
                    Track.objects.filter(
                        Q(name__icontains=q) | Q(artist__name__icontains=q) | Q(track_id=q)
                    ).select_related("artist")[:SHOWN]
                )
            found["experiments"] = list(Experiment.objects.filter(key__icontains=q)[:SHOWN])
        return self.render(
            "console/search.html", {"searched": q, "found": found, "any": any(found.values())}
        )
