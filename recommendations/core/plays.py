"""Plays as other services export them, each row in the form of its service.

Spotify's extended streaming history and account data name the fields `ts`, `ms_played` and so on,
or `endTime`, `msPlayed`; ListenBrainz exports listens as its API takes them; Last.fm rows come from
its API (`user.getRecentTracks`) or from tables that tools make of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""No response is older: a time before it is a clock that was never set, or no time at all."""

SHORT_MS = 30_000
"""A play shorter than this, of a track of unknown length, counts as skipped."""

MAX_TEXT = 500

_SPOTIFY_TRACK = re.compile(r"(?:spotify:track:|open\.spotify\.com/track/)([0-9A-Za-z]{22})")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_TIMES = (
    "%d %b %Y %H:%M",
    "%d %b %Y, %H:%M",
    "%d %b %Y %H:%M:%S",
    "%d %b %Y, %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%d/%m/%Y %H:%M",
)


class NotAPlay(ValueError):
    """A row that tells of no track that was played at a known time; the message says why."""


@dataclass(frozen=True)
class Play:
    """One play of a track.

    Attributes:
        artist: as the source spells it.
        title: likewise.
        started_at: epoch seconds.
        ms_played: how long, or None.
        duration_ms: of the track, or None.
        skipped: what the source says; None where it says nothing.
        spotify_id: or "".
        musicbrainz_id: of the recording, or "".
        isrc: or "".
    """

    artist: str
    title: str
    started_at: float
    ms_played: int | None = None
    duration_ms: int | None = None
    skipped: bool | None = None
    spotify_id: str = ""
    musicbrainz_id: str = ""
    isrc: str = ""

    def response(self, duration_ms: int | None) -> tuple[str, float | None]:
        """Return the kind of response that the play is, play or skip, and the share heard.

        Args:
            duration_ms: of the track as the catalogue knows it.
        """
        duration = duration_ms or self.duration_ms
        if self.ms_played is None:
            return ("skip" if self.skipped else "play"), None
        share = min(1.0, self.ms_played / duration) if duration else None
        if self.skipped is None:
            early = share < 0.5 if share is not None else self.ms_played < SHORT_MS
            return ("skip" if early else "play"), share
        return ("skip" if self.skipped else "play"), share


def source_of(row: Mapping[str, Any]) -> str:
    """Return which service a row is from; "" where it cannot be told."""
    if "ms_played" in row or "msPlayed" in row:
        return "spotify"
    if "track_metadata" in row:
        return "listenbrainz"
    has_title = "name" in row or "track" in row or "title" in row
    return "lastfm" if "artist" in row and has_title else ""


def read_play(row: Mapping[str, Any], *, now: float) -> Play:
    """Return the play that a row tells of.

    Raises:
        NotAPlay: it tells of none, or lies in the future.
    """
    match source_of(row):
        case "spotify":
            play = _spotify(row)
        case "listenbrainz":
            play = _listenbrainz(row)
        case "lastfm":
            play = _lastfm(row)
        case _:
            raise NotAPlay("the row has no field that tells of a play")
    if not play.artist or not play.title:
        raise NotAPlay("it is no track: artist or title is missing")
    if not EARLIEST.timestamp() <= play.started_at <= now:
        raise NotAPlay("its time lies in the future, or before there was anything to export")
    return play


def _spotify(row: Mapping[str, Any]) -> Play:
    played = _whole(row.get("ms_played", row.get("msPlayed")))
    if played is None or played < 0:
        raise NotAPlay("ms_played is no number")
    ended = _moment(row.get("ts", row.get("endTime")))
    skipped = row.get("skipped")
    if not isinstance(skipped, bool):
        skipped = True if row.get("reason_end") in ("fwdbtn", "backbtn") else None
    if skipped and row.get("reason_end") == "trackdone":
        skipped = False
    return Play(
        artist=_text(row.get("master_metadata_album_artist_name", row.get("artistName"))),
        title=_text(row.get("master_metadata_track_name", row.get("trackName"))),
        started_at=ended - played / 1000,  # the time is when the play ended
        ms_played=min(played, 2**31 - 1),
        skipped=skipped,
        spotify_id=_found(_SPOTIFY_TRACK, row.get("spotify_track_uri")),
    )


def _listenbrainz(row: Mapping[str, Any]) -> Play:
    metadata = _mapping(row.get("track_metadata"))
    more = _mapping(metadata.get("additional_info"))
    mapped = _mapping(metadata.get("mbid_mapping"))
    duration = _whole(more.get("duration_ms"))
    if duration is None and (seconds := _whole(more.get("duration"))) is not None:
        duration = 1000 * seconds
    return Play(
        artist=_text(metadata.get("artist_name")),
        title=_text(metadata.get("track_name")),
        started_at=_moment(row.get("listened_at")),
        duration_ms=duration if duration and 0 < duration < 2**31 else None,
        spotify_id=_found(_SPOTIFY_TRACK, more.get("spotify_id")),
        musicbrainz_id=_found(_UUID, more.get("recording_mbid") or mapped.get("recording_mbid")),
        isrc=_found(_ISRC, more.get("isrc")),
    )


def _lastfm(row: Mapping[str, Any]) -> Play:
    artist, date = row.get("artist"), row.get("date")
    if isinstance(artist, Mapping):
        artist = artist.get("#text") or artist.get("name")
    if isinstance(date, Mapping):
        date = date.get("uts") or date.get("#text")
    moment = next(
        (row[name] for name in ("uts", "timestamp", "utc_time", "time") if row.get(name)), date
    )
    title = next((row[name] for name in ("name", "track", "title") if row.get(name)), None)
    return Play(
        artist=_text(artist),
        title=_text(title),
        started_at=_moment(moment),
        musicbrainz_id=_found(_UUID, row.get("mbid") or row.get("track_mbid")),
    )


def _text(value: object) -> str:
    """Return text that Postgres can hold; "" for what is none."""
    if not isinstance(value, str):
        return ""
    clean = value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return clean.strip()[:MAX_TEXT]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _found(pattern: re.Pattern[str], value: object) -> str:
    match = pattern.search(value) if isinstance(value, str) else None
    return match[match.lastindex or 0] if match else ""


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if math.isfinite(value) and abs(value) < 2**53 else None


def _moment(value: object) -> float:
    """Return epoch seconds of a number of seconds (or milliseconds), or of a time in text, UTC."""
    seconds = _whole(value)
    if seconds is not None:
        return float(seconds / 1000 if seconds > 10**11 else seconds)
    if not isinstance(value, str) or not value.strip():
        raise NotAPlay("the time is missing")
    text = value.strip()[:40]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        for form in _TIMES:
            try:
                moment = datetime.strptime(text, form).replace(tzinfo=UTC)
            except ValueError:
                continue
            break
        else:
            raise NotAPlay(f"the time is none: {text!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):
        raise NotAPlay(f"the time is none: {text!r}") from None
