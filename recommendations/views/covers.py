"""Covers drawn from what a track or a genre is."""

from django.db.models import Avg
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from recommendations.core.cover import cover_svg
from recommendations.models import Genre, Track

UNKNOWN = 0.5  # where the catalogue has no energy or valence


# A day: a cover changes only when somebody corrects the catalogue.
@require_safe
@cache_control(public=True, max_age=86400)
def track_cover(request: HttpRequest, track_id: str) -> HttpResponse:
    """Answer a track's cover as SVG."""
    track = get_object_or_404(Track.objects.select_related("artist"), track_id=track_id)
    return _svg(
        title=track.name,
        artist=track.artist.name,
        genres=[genre.name for genre in track.genres.all()],
        energy=track.energy,
        valence=track.valence,
    )


@require_safe
@cache_control(public=True, max_age=86400)
def genre_cover(request: HttpRequest, genre: str) -> HttpResponse:
    """Answer a picture of a genre, drawn from the mean of its tracks."""
    found = get_object_or_404(Genre, name=genre.lower())
    means = Track.objects.active().filter(genres=found).aggregate(Avg("energy"), Avg("valence"))
    return _svg(
        title=found.name,
        artist="",
        genres=[found.name],
        energy=means["energy__avg"],
        valence=means["valence__avg"],
    )


def _svg(
    *, title: str, artist: str, genres: list[str], energy: float | None, valence: float | None
) -> HttpResponse:
    svg = cover_svg(
        title=title,
        artist=artist,
        genres=genres,
        energy=UNKNOWN if energy is None else energy,
        valence=UNKNOWN if valence is None else valence,
    )
    return HttpResponse(svg, content_type="image/svg+xml")
