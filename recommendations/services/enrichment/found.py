"""What a provider knows of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from recommendations.core.recording_match import Wanted


@dataclass(frozen=True)
class Found:
    """Facts on a recording; empty or None where the provider does not know.

    Attributes:
        external_id: by which the provider knows it.
        year: of the first release that the provider names.
        genres: in lower case.
    """

    external_id: str
    isrc: str = ""
    spotify_id: str = ""
    musicbrainz_id: str = ""
    cover_url: str = ""
    preview_url: str = ""
    year: int | None = None
    genres: tuple[str, ...] = ()


class Provider(Protocol):
    """Somebody who can be asked.

    Attributes:
        name: as the command and the rows have it.
    """

    name: str

    def look_up(self, wanted: Wanted, *, known_id: str) -> Found | None:
        """Return what is known of a recording, None where it is not.

        Args:
            wanted: what is looked for.
            known_id: the provider's own id, where it is known; else "".

        Raises:
            ProviderRefuses: the provider does not answer as documented.
        """


def year_of(date: Any) -> int | None:
    """Return the year of a date that may be a year, a month or a day; None where it is none."""
    text = str(date or "")[:4]
    return int(text) if text.isascii() and text.isdigit() and int(text) >= 1000 else None


def secure(url: Any) -> str:
    """Return an address that pages may use: https, and not too long; else ""."""
    text = str(url or "").replace("http://", "https://", 1)
    return text if text.startswith("https://") and len(text) <= 1000 else ""
