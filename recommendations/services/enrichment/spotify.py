"""The Spotify Web API: https://developer.spotify.com/documentation/web-api."""

from __future__ import annotations

import time
from typing import Any

from recommendations.core.recording_match import Offered, Wanted, first_match
from recommendations.services.enrichment.asking import Asker
from recommendations.services.enrichment.found import Found, secure, year_of

API = "https://api.spotify.com/v1"
TOKENS = "https://accounts.spotify.com/api/token"
PAUSE = 0.2
"""Seconds between questions: Spotify counts calls of 30 s and does not say how many it allows."""


class Spotify:
    """Asks with a token of the application's own (client credentials), renewed as it expires."""

    name = "spotify"

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        api: str = API,
        tokens: str = TOKENS,
        pause: float = PAUSE,
    ) -> None:
        self._credentials = (client_id, client_secret)
        self._api, self._tokens = api, tokens
        self._asker = Asker("Spotify", pause=pause)
        self._expires_at = 0.0
        self._genres_of: dict[str, tuple[str, ...]] = {}

    def look_up(self, wanted: Wanted, *, known_id: str) -> Found | None:
        """Return what Spotify knows of a recording; by id, by ISRC, or by title and artist."""
        self._sign_in()
        if known_id:
            track = self._asker.get(f"{self._api}/tracks/{known_id}")
            return self._found(track) if track else None
        query = (
            f"isrc:{wanted.isrc}"
            if wanted.isrc
            else f'track:"{_plain(wanted.title)}" artist:"{_plain(wanted.artist)}"'
        )
        answer = self._asker.get(f"{self._api}/search", q=query, type="track", limit=10) or {}
        tracks = [t for t in answer.get("tracks", {}).get("items", []) if t]
        place = first_match(wanted, (_offered(track) for track in tracks))
        return None if place is None else self._found(tracks[place])

    def _sign_in(self) -> None:
        if time.monotonic() < self._expires_at:
            return
        token = self._asker.post(
            self._tokens, auth=self._credentials, data={"grant_type": "client_credentials"}
        )
        self._asker.session.headers["Authorization"] = f"Bearer {token['access_token']}"
        self._expires_at = time.monotonic() + float(token.get("expires_in", 3600)) - 60

    def _found(self, track: dict[str, Any]) -> Found:
        album = track.get("album") or {}
        # The widest image that is no wider than a page shows it; they come widest first.
        images = [i for i in album.get("images", []) if (i.get("width") or 640) <= 640]
        artists = track.get("artists") or [{}]
        return Found(
            external_id=track["id"],
            spotify_id=track["id"],
            isrc=str((track.get("external_ids") or {}).get("isrc", ""))[:12].upper(),
            cover_url=secure(images[0].get("url")) if images else "",
            preview_url=secure(track.get("preview_url")),
            year=year_of(album.get("release_date")),
            genres=self._genres(str(artists[0].get("id", ""))),
        )

    def _genres(self, artist_id: str) -> tuple[str, ...]:
        """Return the genres of an artist: Spotify has none of a track."""
        if not artist_id:
            return ()
        if artist_id not in self._genres_of:
            artist = self._asker.get(f"{self._api}/artists/{artist_id}") or {}
            names = [str(name).lower()[:100] for name in artist.get("genres") or []]
            self._genres_of[artist_id] = tuple(names[:5])
        return self._genres_of[artist_id]


def _offered(track: dict[str, Any]) -> Offered:
    isrc = str((track.get("external_ids") or {}).get("isrc", "")).upper()
    return Offered(
        title=str(track.get("name", "")),
        artists=tuple(str(artist.get("name", "")) for artist in track.get("artists") or []),
        isrcs=(isrc,) if isrc else (),
        duration_ms=track.get("duration_ms"),
    )


def _plain(text: str) -> str:
    """Return text without what the query language gives a meaning."""
    return text.replace('"', " ").strip()
