"""Which recording a name from elsewhere means: artist and title, brought to one spelling."""

from __future__ import annotations

import re

from recommendations.core.search_text import normalize

_GUESTS = r"(?:feat|ft|featuring)\b\.?"
_EDITION = (
    r"(?:(?:\d{4}\s+)?(?:digital(?:ly)?\s+)?remaster(?:ed)?"
    r"|(?:album|single|mono|stereo)\s+version|bonus\s+track)\b"
)
# In brackets, "Song (feat. Somebody)" or "Song [2011 Remaster]"; behind a dash, "Song - Remastered
# 2011"; or bare at the end, "Song feat. Somebody".  A live take, a remix or an acoustic version is
# another recording and keeps its words.
_BRACKETS = re.compile(rf"[(\[]\s*(?:{_GUESTS}|{_EDITION})[^)\]]*[)\]]", re.I)
_DASH = re.compile(rf"\s[-–—]\s+{_EDITION}.*$", re.I)
_BARE_GUESTS = re.compile(rf"\s{_GUESTS}\s.*$", re.I)

MAX_NAME = 1000
"""Characters of a name that are looked at."""


def title_key(title: str) -> str:
    """Return what two spellings of one recording's title have in common; "" where nothing is left.

    Accents, case and punctuation go, and so do guests and remarks on the edition.
    """
    text = title[:MAX_NAME]
    bare = _BARE_GUESTS.sub("", _DASH.sub("", _BRACKETS.sub(" ", text)))
    return normalize(bare) or normalize(text)


def artist_keys(artist: str) -> list[str]:
    """Return the spellings under which an artist may be known, the likeliest first.

    The whole name, the name without guests, and the first of several that are joined by a comma or
    a semicolon.
    """
    text = artist[:MAX_NAME]
    alone = _BARE_GUESTS.sub("", _BRACKETS.sub(" ", text))
    keys = [normalize(name) for name in (text, alone, re.split(r"[,;]", alone)[0])]
    return list(dict.fromkeys(key for key in keys if key))
