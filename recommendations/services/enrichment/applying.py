"""Looking tracks up and writing down what was found, one by one, so that it can stop anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from recommendations.core.recording_match import Wanted
from recommendations.models import Genre, Track, TrackLookup
from recommendations.services.catalogue import add_names, index_tracks, touch_catalogue
from recommendations.services.enrichment.asking import ProviderRefuses
from recommendations.services.enrichment.found import Found, Provider
from recommendations.services.enrichment.musicbrainz import MusicBrainz
from recommendations.services.enrichment.spotify import Spotify

PLAIN = ("isrc", "spotify_id", "musicbrainz_id", "cover_url", "preview_url", "year")
ENRICHED = frozenset({*PLAIN, "genres"})
"""What is filled in where it is empty and no editor has typed it, empty on purpose included."""

TOUCH_EVERY = 100
"""Tracks after which web processes are told; each time they read the catalogue anew."""

NEEDED = {
    "spotify": ("SPOTIFY_CLIENT_ID", "SPOTIFY_CLIENT_SECRET"),
    "musicbrainz": ("MUSICBRAINZ_CONTACT",),
}


@dataclass
class EnrichmentReport:
    """What a run has done so far."""

    found: int = 0
    filled: int = 0
    not_found: int = 0
    stopped: str = ""

    def __str__(self) -> str:
        done = (
            f"{self.found + self.not_found:,} looked up: {self.found:,} found, of which "
            f"{self.filled:,} had something to fill in; {self.not_found:,} not found"
        )
        return f"{done}; stopped: {self.stopped}" if self.stopped else done


def missing_settings(provider: str) -> list[str]:
    """Return the variables of the environment that a provider needs and that are not set."""
    return [name for name in NEEDED[provider] if not getattr(settings, name)]


def provider_of(name: str) -> Provider:
    """Return a provider with the credentials of the environment; see `missing_settings`."""
    if name == "spotify":
        return Spotify(settings.SPOTIFY_CLIENT_ID, settings.SPOTIFY_CLIENT_SECRET)
    return MusicBrainz(settings.MUSICBRAINZ_CONTACT)


def to_look_up(provider: str, *, again: bool = False) -> QuerySet[Track]:
    """Return the tracks that were not looked up there yet, or with `again` all of them."""
    tracks = Track.objects.order_by("pk")
    if again:
        return tracks
    done = TrackLookup.objects.filter(track=OuterRef("pk"), provider=provider)
    return tracks.filter(~Exists(done))


def enrich(
    provider: Provider,
    keys: Iterable[int],
    *,
    report: Callable[[EnrichmentReport], None] = lambda done: None,
) -> EnrichmentReport:
    """Look tracks up and fill in what is missing; each is committed by itself.

    Ends early, with the reason, where the provider refuses; the next run goes on from there.

    Args:
        provider: whom to ask.
        keys: primary keys of the tracks.
        report: called after each track.
    """
    done = EnrichmentReport()
    untold = 0
    try:
        for key in keys:
            track = Track.objects.select_related("artist").filter(pk=key).first()
            if track is None:
                continue
            wanted = Wanted(track.name, track.artist.name, track.isrc, track.duration_ms)
            known = {"spotify": track.spotify_id, "musicbrainz": track.musicbrainz_id}
            found = provider.look_up(wanted, known_id=str(known[provider.name] or ""))
            filled = apply(found, track=track, provider=provider.name, at=timezone.now())
            done.found += found is not None
            done.not_found += found is None
            done.filled += bool(filled)
            untold += bool(filled)
            if untold >= TOUCH_EVERY:
                touch_catalogue()
                untold = 0
            report(done)
    except ProviderRefuses as error:
        done.stopped = str(error)
    finally:
        if untold:
            touch_catalogue()
    return done


@transaction.atomic
def apply(found: Found | None, *, track: Track, provider: str, at: datetime) -> list[str]:
    """Fill in what a track lacks, note the look-up, and return the names of the fields filled.

    A field that has a value keeps it, and so does one that an editor typed, were it empty.
    """
    track = Track.objects.select_for_update(of=("self",)).get(pk=track.pk)
    filled = []
    if found is not None:
        for name in PLAIN:
            value = getattr(found, name)
            if value and not getattr(track, name) and name not in track.edited_fields:
                setattr(track, name, value)
                filled.append(name)
        if filled:
            track.updated_at = at
            track.save(update_fields=[*filled, "updated_at"])
        if found.genres and "genres" not in track.edited_fields and not track.genres.exists():
            _add_genres(track, found.genres)
            filled.append("genres")
    TrackLookup.objects.update_or_create(
        track=track,
        provider=provider,
        defaults={
            "looked_up_at": at,
            "external_id": found.external_id if found else "",
            "filled": filled,
        },
    )
    return filled


def _add_genres(track: Track, names: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        add_names(cursor, "recommendations_genre", names)
    track.genres.add(*Genre.objects.filter(name__in=names))
    index_tracks([track.pk])
