"""The front page, and whether the process is alive and ready."""

from typing import Any

from django.core.cache import cache
from django.db import DatabaseError
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from redis.exceptions import RedisError
from rest_framework.permissions import AllowAny
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Listener
from musicrec.renderers import JSONRenderer
from recommendations.core.cover import cover_svg
from recommendations.models import Track
from recommendations.reports import status_of
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes

STATUS_SECONDS = 10
N_EXAMPLES = 5


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
                {"status": status, "examples": _example_list()},
                template_name="home.html",
            )
        return Response({"name": "musicrec", "status": status, "docs": "/docs"})


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


def _example_list() -> list[dict[str, Any]]:
    """Return the head of the list that a simulated listener would be shown now.

    Never a person's: what they are shown is theirs alone.
    """
    listener = (
        Listener.objects.filter(is_simulated=True)
        .select_related("preferences")
        .order_by("pk")
        .first()
    )
    if listener is None:
        return []
    answer = recommend(
        listener=listener, wishes=Wishes(n=N_EXAMPLES), at=timezone.now(), record=False
    )
    facts = {
        track_id: (energy, valence)
        for track_id, energy, valence in Track.objects.filter(
            track_id__in=[item.track_id for item in answer.items]
        ).values_list("track_id", "energy", "valence")
    }
    examples = []
    for item in answer.items:
        energy, valence = facts[item.track_id]
        cover = cover_svg(
            title=item.track_name,
            artist=item.artist,
            genres=item.genres,
            energy=0.5 if energy is None else energy,
            valence=0.5 if valence is None else valence,
        )
        examples.append({**item._asdict(), "cover": cover})
    return examples
