"""The application's addresses, and a view that only reads a row: see `benchmarks.bare`."""

from __future__ import annotations

from typing import Any

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from recommendations.models import Track


def read_one() -> dict[str, Any] | None:
    """Return a track, by one query; None in an empty catalogue."""
    return Track.objects.order_by("pk").values("track_id", "name").first()


class BareRead(APIView):
    """One row, for whoever has a token."""

    def get(self, request: Request) -> Response:
        """Answer it."""
        return Response(read_one())


urlpatterns = [path("bare/view", BareRead.as_view()), path("", include("musicrec.urls"))]
