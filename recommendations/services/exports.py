"""A service's own data, row by row, so that any amount streams."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from accounts.models import Listener, ServiceAccount
from recommendations.models import Feedback, Track
from recommendations.models.catalogue import AUDIO_FEATURES

BLOCK = 2000


def tracks(service: ServiceAccount) -> Iterator[dict[str, Any]]:
    """Yield the active tracks, with the columns that `import_tracks` reads."""
    rows = Track.objects.active().with_facts().order_by("pk").iterator(chunk_size=BLOCK)
    for track in rows:
        yield {
            "track_id": track.track_id,
            "name": track.name,
            "artist": track.artist.name,
            "album": track.album,
            "genres": ";".join(track.genre_names),
            "year": track.year,
            "duration_ms": track.duration_ms,
            "popularity": track.popularity,
            **{feature: getattr(track, feature) for feature in AUDIO_FEATURES},
            "isrc": track.isrc,
            "spotify_id": track.spotify_id,
            "musicbrainz_id": str(track.musicbrainz_id) if track.musicbrainz_id else None,
            "cover_url": track.cover_url,
            "preview_url": track.preview_url,
        }


def listeners(service: ServiceAccount) -> Iterator[dict[str, Any]]:
    """Yield the service's listeners with what they say they like."""
    rows = Listener.objects.of_service(service).select_related("preferences").order_by("pk")
    for listener in rows.iterator(chunk_size=BLOCK):
        stated = getattr(listener, "preferences", None)
        yield {
            "user_id": listener.external_id,
            "country": listener.country,
            "time_zone": listener.time_zone,
            "created_at": _time(listener.created_at),
            "genres": ";".join(stated.genres) if stated else "",
            "artists": ";".join(stated.artists) if stated else "",
            "energy": stated.energy if stated else None,
            "mood": stated.mood if stated else "",
        }


def feedback(service: ServiceAccount) -> Iterator[dict[str, Any]]:
    """Yield what the service's listeners did and did not take back."""
    rows = (
        Feedback.objects.filter(listener__service=service)
        .standing()
        .order_by("pk")
        .values_list(
            "event_id", "listener__external_id", "track__track_id", "kind", "rating",
            "completion", "occurred_at", "recommendation_id",
        )
    )  # fmt: skip
    for event_id, user_id, track_id, kind, rating, completion, at, slate in rows.iterator(BLOCK):
        yield {
            "event_id": event_id,
            "user_id": user_id,
            "track_id": track_id,
            "kind": kind,
            "rating": rating,
            "completion": completion,
            "occurred_at": _time(at),
            "recommendation_id": str(slate) if slate else None,
        }


EXPORTS: Mapping[str, Callable[[ServiceAccount], Iterator[dict[str, Any]]]] = {
    "tracks": tracks,
    "listeners": listeners,
    "feedback": feedback,
}


def as_json_lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yield a line of JSON for each row."""
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"


def as_csv(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yield a line of CSV for each row, after a header; nothing where there is no row."""
    for number, row in enumerate(rows):
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, row.keys())
        if number == 0:
            writer.writeheader()
        writer.writerow(row)
        yield buffer.getvalue()


def _time(at: Any) -> str:
    return at.isoformat().replace("+00:00", "Z")
