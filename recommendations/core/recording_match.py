"""Whether what another catalogue offers is the recording that is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from recommendations.core.search_text import normalize

LONGEST_DIFFERENCE_MS = 10_000
"""Between two durations of one recording."""

_EDITION = re.compile(
    r"\s*[\(\[][^\)\]]*(remaster|version|edit|mono|stereo|deluxe|anniversary)[^\)\]]*[\)\]]"
    r"|\s+-\s+.*(remaster|version|edit|mono|stereo|deluxe|anniversary).*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Wanted:
    """A recording as our catalogue has it; empty or None where it does not know."""

    title: str
    artist: str
    isrc: str = ""
    duration_ms: int | None = None


@dataclass(frozen=True)
class Offered:
    """A recording as another catalogue has it."""

    title: str
    artists: tuple[str, ...]
    isrcs: tuple[str, ...] = ()
    duration_ms: int | None = None


def plain_title(title: str) -> str:
    """Return a title without accents, case and what names an edition of the same recording."""
    return normalize(_EDITION.sub("", title)) or normalize(title)


def is_match(wanted: Wanted, offered: Offered) -> bool:
    """Return whether both are the same recording.

    The same ISRC settles it.  Else title and one of the artists must be the same but for accents,
    case and the name of an edition, and the durations, where both are known, within 10 s.
    """
    if wanted.isrc and wanted.isrc in offered.isrcs:
        return True
    if plain_title(wanted.title) != plain_title(offered.title):
        return False
    if normalize(wanted.artist) not in {normalize(name) for name in offered.artists}:
        return False
    if wanted.duration_ms is None or offered.duration_ms is None:
        return True
    return abs(wanted.duration_ms - offered.duration_ms) <= LONGEST_DIFFERENCE_MS


def first_match(wanted: Wanted, offers: Iterable[Offered]) -> int | None:
    """Return the place of the first offer that is the recording, None without one."""
    return next((i for i, offer in enumerate(offers) if is_match(wanted, offer)), None)
