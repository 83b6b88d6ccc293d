"""MusicBrainz (https://musicbrainz.org/doc/MusicBrainz_API) and the Cover Art Archive."""

from __future__ import annotations

import re
from typing import Any

from recommendations.core.recording_match import Offered, Wanted, first_match
from recommendations.services.enrichment.asking import Asker
from recommendations.services.enrichment.found import Found, secure, year_of

API = "https://musicbrainz.org/ws/2"
COVERS = "https://coverartarchive.org"
PAUSE = 1.1
"""Seconds between questions: MusicBrainz allows one a second of each address."""

_SPECIAL = re.compile(r'([+\-&|!(){}\[\]^"~*?:\\/])')


class MusicBrainz:
    """Asks with a User-Agent that says who asks, as MusicBrainz demands."""

    name = "musicbrainz"

    def __init__(
        self, contact: str, *, api: str = API, covers: str = COVERS, pause: float = PAUSE
    ) -> None:
        self._api, self._covers = api, covers
        agent = {"User-Agent": f"musicrec/0.1.0 ( {contact} )", "Accept": "application/json"}
        self._asker = Asker("MusicBrainz", pause=pause, headers=agent)
        # Its pictures, and the lists of them, lie at the Internet Archive, where it leads.
        self._cover_asker = Asker(
            "The Cover Art Archive", pause=pause, headers=agent, hosts=("archive.org",)
        )

    def look_up(self, wanted: Wanted, *, known_id: str) -> Found | None:
        """Return what MusicBrainz knows of a recording; by id, by ISRC, or by title and artist."""
        mbid = known_id or self._search(wanted)
        if not mbid:
            return None
        recording = self._asker.get(
            f"{self._api}/recording/{mbid}", inc="isrcs+genres+releases+artist-credits", fmt="json"
        )
        return self._found(recording) if recording else None

    def _search(self, wanted: Wanted) -> str:
        query = (
            f"isrc:{wanted.isrc}"
            if wanted.isrc
            else f'recording:"{_plain(wanted.title)}" AND artist:"{_plain(wanted.artist)}"'
        )
        answer = self._asker.get(f"{self._api}/recording", query=query, fmt="json", limit=10) or {}
        recordings = answer.get("recordings", [])
        place = first_match(wanted, (_offered(recording) for recording in recordings))
        return "" if place is None else str(recordings[place]["id"])

    def _found(self, recording: dict[str, Any]) -> Found:
        genres = sorted(
            recording.get("genres") or [],
            key=lambda genre: (-genre.get("count", 0), genre.get("name", "")),
        )
        releases = sorted(
            recording.get("releases") or [], key=lambda release: release.get("date") or "9999"
        )
        isrcs = recording.get("isrcs") or []
        first = recording.get("first-release-date") or (releases[0].get("date") if releases else "")
        return Found(
            external_id=str(recording["id"]),
            musicbrainz_id=str(recording["id"]),
            isrc=str(isrcs[0])[:12].upper() if isrcs else "",
            cover_url=self._cover(str(releases[0]["id"])) if releases else "",
            year=year_of(first),
            genres=tuple(str(genre["name"]).lower()[:100] for genre in genres[:5]),
        )

    def _cover(self, release: str) -> str:
        """Return the front cover of a release, 500 pixels wide; "" where the archive has none."""
        answer = self._cover_asker.get(f"{self._covers}/release/{release}") or {}
        for image in answer.get("images", []):
            if image.get("front"):
                return secure((image.get("thumbnails") or {}).get("500") or image.get("image"))
        return ""


def _offered(recording: dict[str, Any]) -> Offered:
    return Offered(
        title=str(recording.get("title", "")),
        artists=tuple(str(c.get("name", "")) for c in recording.get("artist-credit") or []),
        isrcs=tuple(str(isrc).upper() for isrc in recording.get("isrcs") or []),
        duration_ms=recording.get("length"),
    )


def _plain(text: str) -> str:
    """Return text whose characters mean nothing to Lucene."""
    return _SPECIAL.sub(r"\\\1", text)
