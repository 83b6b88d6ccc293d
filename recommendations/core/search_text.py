"""Text as it is searched: without accents, case and punctuation."""

from __future__ import annotations

import unicodedata

MAX_TEXT = 500
"""Characters kept of a normalized text."""

MAX_WORD = 100
"""Characters kept of a word: Postgres refuses lexemes of more than 2 kB."""

# Letters that have no decomposition in Unicode, as people without the key type them.
_LOOKALIKES = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
)


def normalize(text: str) -> str:
    """Return `text` as words in lower case without accents, one blank between them.

    Compatibility decomposition (NFKD), combining marks dropped, case folded (Unicode Standard
    Annex 15 and section 3.13), everything that is no letter or digit a blank.  A text of signs
    alone ("!!!") keeps them, so that it can be found at all.  Idempotent.
    """
    # Twice, since folding may bring up what decomposes again.
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(c for c in folded if not unicodedata.combining(c)).translate(_LOOKALIKES)
    words = "".join(c if c.isalnum() else " " for c in bare).split()
    if not words:
        words = bare.split()
    return " ".join(word[:MAX_WORD] for word in words)[:MAX_TEXT].rstrip()


def prefix_query(text: str, *, max_words: int = 8) -> str:
    """Return the tsquery that asks for words beginning with each of `text`; "" without words.

    What `normalize` leaves of a word holds neither quotes nor backslashes unless it consists of
    signs; such words are left to a comparison of the whole text.
    """
    words = [word for word in normalize(text).split()[:max_words] if word.isalnum()]
    return " & ".join(f"'{word}':*" for word in words)
