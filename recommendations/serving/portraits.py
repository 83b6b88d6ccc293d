"""Listeners as a catalogue and a model show them, kept from one list to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import Floats
from recommendations.core.content import (
    ContentProfile,
    StatedTaste,
    content_profile,
    content_scores,
)
from recommendations.core.history import History
from recommendations.core.serving_model import Listener
from recommendations.serving.catalogue import Catalogue
from recommendations.serving.loaded import LoadedModel

KEPT_BYTES = 64_000_000
"""What listeners of late may take in a process's memory; one is kept whatever it takes."""

BYTES_PER_TRACK = 24
"""Of a listener: three scores of each track, and links with their columns where all are linked."""

BYTES_BESIDE = 68_000
"""Of a listener, beside those: a history of some 240 tracks, and all that is kept of what was told
of others (69,000 measured)."""


@dataclass(frozen=True, eq=False)
class Portrait:
    """What strategies know of a listener; whatever they compute of it is kept.

    Attributes:
        catalogue: the tracks to rank.
        loaded: the model that they are seen by, or None.
        history: what the listener responded to, and tracks of the artists they named.
        rows: row in the catalogue of each track of the history, -1 where it is not active.
        stated: what they say of themselves, and the mood of this request.
        vector: folded-in embedding for the model, or None without one.
    """

    catalogue: Catalogue
    loaded: LoadedModel | None
    history: History
    rows: NDArray[np.intp]
    stated: StatedTaste
    vector: Floats | None

    @cached_property
    def place_of_row(self) -> dict[int, int]:
        """Place in the history of each of its tracks, by row in the catalogue."""
        return {row: place for place, row in enumerate(self.rows.tolist())}

    @cached_property
    def profile(self) -> ContentProfile:
        """The listener's taste in terms of content."""
        known = self.rows >= 0
        return content_profile(
            self.catalogue.content, self.rows[known], self.history.preferences[known], self.stated
        )

    @cached_property
    def listener(self) -> Listener | None:
        """The listener as the model sees them, None without a model."""
        if self.loaded is None or self.vector is None:
            return None
        model_rows = self.loaded.rows_in_model(self.rows)
        known = model_rows >= 0
        return self.loaded.model.listener(
            model_rows[known],
            self.history.preferences[known],
            stated=self.stated,
            user_vector=self.vector,
        )

    @cached_property
    def content_fit(self) -> Floats:
        """How well each track's content fits, shape (n_tracks,); not to be written to."""
        scores = content_scores(self.catalogue.content, self.profile)
        scores.setflags(write=False)
        return scores

    @property
    def is_unknown(self) -> bool:
        """Whether nothing at all is known of the listener."""
        return len(self.history) == 0 and not self.stated


class Portraits:
    """The portraits of listeners of late by one catalogue and one model.

    Attributes:
        catalogue: the active tracks.
        loaded: the model, or None.
    """

    def __init__(self, catalogue: Catalogue, loaded: LoadedModel | None) -> None:
        self.catalogue = catalogue
        self.loaded = loaded
        keep = lru_cache(maxsize=most_kept(len(catalogue)))
        self._kept = keep(partial(_portrait, catalogue, loaded))

    def of(
        self,
        history: bytes,
        *,
        stated: StatedTaste,
        artists: tuple[str, ...] = (),
        vector: bytes = b"",
    ) -> Portrait:
        """Return a portrait: the same one as long as all that it is made of is the same.

        So it is never out of date, and a list between two responses costs less.

        Args:
            history: a packed `History`.
            stated: what the listener says of themselves.
            artists: whom they named.
            vector: their embedding for the model, as `Taste.vector` holds it; empty for none.
        """
        return self._kept(history, stated, artists, vector)


def most_kept(n_tracks: int) -> int:
    """Return how many portraits of a catalogue's listeners fit into `KEPT_BYTES`, one at least."""
    return max(1, KEPT_BYTES // (BYTES_PER_TRACK * n_tracks + BYTES_BESIDE))


def _portrait(
    catalogue: Catalogue,
    loaded: LoadedModel | None,
    packed: bytes,
    stated: StatedTaste,
    artists: tuple[str, ...],
    vector: bytes,
) -> Portrait:
    history = with_named_artists(History.from_bytes(packed), artists, catalogue)
    return Portrait(
        catalogue,
        loaded,
        history,
        catalogue.rows_of(history.tracks),
        stated,
        np.frombuffer(vector, "<f4") if vector else None,
    )


NAMED_ARTIST_PREFERENCE = 0.9
TRACKS_PER_NAMED_ARTIST = 5


def with_named_artists(history: History, artists: Sequence[str], catalogue: Catalogue) -> History:
    """Return a history with the best-known tracks of the artists a listener named, as if liked.

    So three names are enough for a personal list.  Those tracks were not heard (`heard_at` is
    minus infinity) and may be recommended; once there is a response to one, that counts instead.
    """
    named = [
        rows[np.argsort(-catalogue.popularity[rows], kind="stable")[:TRACKS_PER_NAMED_ARTIST]]
        for artist in artists
        if len(rows := catalogue.rows_of_artist(artist))
    ]
    if not named:
        return history
    tracks = np.setdiff1d(catalogue.pks[np.concatenate(named)], history.tracks)
    stated = History.build(
        tracks,
        np.full(len(tracks), NAMED_ARTIST_PREFERENCE),
        np.full(len(tracks), -np.inf),
    )
    return History(np.concatenate([stated.records, history.records]))
