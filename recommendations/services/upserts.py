"""What a service tells of its tracks and its listeners, under names of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import connection, transaction

from accounts.models import Listener, Preferences, ServiceAccount
from recommendations.core.search_text import normalize
from recommendations.models.catalogue import AUDIO_FEATURES
from recommendations.services.imports.reading import copy_rows, create_stage
from recommendations.services.imports.tracks import (
    EXTRAS,
    STAGE,
    STAGED,
    ImportReport,
    load_staged_tracks,
)

PREFERENCE_FIELDS = ("genres", "artists", "energy", "mood")
PROFILE_FIELDS = ("country", "time_zone")


@transaction.atomic
def upsert_tracks(tracks: Sequence[Mapping[str, Any]]) -> ImportReport:
    """Create tracks, or replace what is known of them; the last of a repeated `track_id` counts.

    Args:
        tracks: checked; `track_id`, `track_name` and `artist` are there, and what is left out is
            not known, save ids and addresses, which stay as they are.
    """
    with connection.cursor() as cursor:
        create_stage(cursor, STAGE)
        copy_rows(cursor, "stage", STAGED, _staged(tracks))
        return load_staged_tracks(cursor)


def _staged(tracks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[object, ...]]:
    for line, track in enumerate(tracks):
        audio = track.get("audio") or {}
        genres = dict.fromkeys(name.strip().lower() for name in track.get("genres", ()))
        yield (
            line,
            track["track_id"],
            track["track_name"],
            normalize(track["track_name"]),
            track["artist"],
            track.get("album", ""),
            [name for name in genres if name],
            track.get("year"),
            track.get("duration_ms"),
            track.get("popularity"),
            *(audio.get(feature) for feature in AUDIO_FEATURES),
            *(track.get(name) or None for name in EXTRAS),
        )


@transaction.atomic
def upsert_listeners(
    listeners: Sequence[Mapping[str, Any]], *, service: ServiceAccount
) -> tuple[int, int]:
    """Create a service's listeners, or change what is given of them; what is left out stays.

    Args:
        listeners: checked; `user_id` is there, the last of a repeated one counts.
        service: whose they are.

    Returns:
        How many are new, and how many were there.
    """
    given = {row["user_id"]: row for row in listeners}
    own = Listener.objects.of_service(service).select_related("preferences")
    before = set(own.filter(external_id__in=given).values_list("external_id", flat=True))
    Listener.objects.bulk_create(
        (Listener(service=service, external_id=name) for name in sorted(given.keys() - before)),
        ignore_conflicts=True,
    )
    rows = list(own.filter(external_id__in=given).order_by("pk").select_for_update(of=("self",)))
    stated = []
    for listener in rows:
        told = given[listener.external_id]
        for name in PROFILE_FIELDS:
            setattr(listener, name, told.get(name, getattr(listener, name)))
        if any(name in told for name in PREFERENCE_FIELDS):
            preferences = getattr(listener, "preferences", None) or Preferences(listener=listener)
            for name in PREFERENCE_FIELDS:
                setattr(preferences, name, told.get(name, getattr(preferences, name)))
            stated.append(preferences)
    Listener.objects.bulk_update(rows, PROFILE_FIELDS, batch_size=500)
    Preferences.objects.bulk_create(
        stated,
        update_conflicts=True,
        unique_fields=["listener"],
        update_fields=[*PREFERENCE_FIELDS, "updated_at"],
    )
    return len(given) - len(before), len(before)
