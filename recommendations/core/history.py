"""What a listener responded to, packed so that a request reads it in one column of one row."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Response = tuple[int, float, float, float | None, bool]
"""Track, preference, epoch seconds, rating or None, explicit: the arguments of `respond`."""

CAPACITY = 1000
"""Tracks kept; the ones heard longest ago give way."""

_RECORD = np.dtype(
    [
        ("track", "<i8"),
        ("preference", "<f4"),
        ("rating", "<f4"),
        ("heard_at", "<f8"),
        ("explicit", "?"),
    ]
)


@dataclass(frozen=True, eq=False)
class History:
    """The tracks a listener responded to, each once, the one heard last at the end.

    Attributes:
        records: structured array, shape (n,), with the fields
            track: primary key of the track;
            preference: in [0, 1];
            rating: 1 to 5, NaN where none was given;
            heard_at: seconds since 1970 (UTC);
            explicit: whether the preference was said (rated, liked, saved, hidden), not only
                concluded from playing.
    """

    records: NDArray[np.void]

    @classmethod
    def empty(cls) -> History:
        """Return the history of somebody new."""
        return cls(np.empty(0, _RECORD))

    @classmethod
    def build(
        cls,
        tracks: NDArray[np.int64],
        preferences: NDArray[np.floating],
        heard_at: NDArray[np.floating],
        ratings: NDArray[np.floating] | None = None,
        explicit: NDArray[np.bool_] | None = None,
    ) -> History:
        """Return the history with these columns, each of shape (n,), tracks distinct."""
        records = np.empty(len(tracks), _RECORD)
        records["track"] = tracks
        records["preference"] = preferences
        records["heard_at"] = heard_at
        records["rating"] = np.nan if ratings is None else ratings
        records["explicit"] = False if explicit is None else explicit
        order = np.argsort(records["heard_at"], kind="stable")[-CAPACITY:]
        return cls(records[order])

    @classmethod
    def from_bytes(cls, packed: bytes | memoryview) -> History:
        """Return the history that `to_bytes` packed.

        Raises:
            ValueError: the length is no multiple of a record's.
        """
        return cls(np.frombuffer(packed, _RECORD))

    def to_bytes(self) -> bytes:
        """Return the records, little-endian, without padding."""
        return self.records.tobytes()

    def __len__(self) -> int:
        return len(self.records)

    @property
    def tracks(self) -> NDArray[np.int64]:
        """Primary keys, shape (n,)."""
        return self.records["track"]

    @property
    def preferences(self) -> NDArray[np.float32]:
        """Preferences in [0, 1], shape (n,)."""
        return self.records["preference"]

    @property
    def ratings(self) -> NDArray[np.float32]:
        """Ratings 1 to 5 or NaN, shape (n,)."""
        return self.records["rating"]

    def heard_since(self, moment: float) -> NDArray[np.bool_]:
        """Return which tracks were heard at or after `moment` (epoch seconds), shape (n,)."""
        heard: NDArray[np.bool_] = self.records["heard_at"] >= moment
        return heard

    def respond(
        self,
        track: int,
        preference: float,
        at: float,
        *,
        rating: float | None = None,
        explicit: bool = False,
    ) -> History:
        """Return the history after one more response.

        What was said outweighs what was concluded: playing a track that was rated leaves its
        preference alone.  Of two things said the later one counts, by `at`, whichever arrives
        first; of two plays their mean.
        """
        place = np.flatnonzero(self.tracks == track)
        new = np.zeros(1, _RECORD)
        new[0] = (track, preference, np.nan if rating is None else rating, at, explicit)
        if place.size:
            old = self.records[place[0]]
            if old["explicit"] and (not explicit or old["heard_at"] > at):
                new[0] = old
            elif not explicit and not old["explicit"]:
                new["preference"] = (old["preference"] + np.float32(preference)) / 2
            new["heard_at"] = max(float(old["heard_at"]), at)
        records = np.concatenate([np.delete(self.records, place), new])
        order = np.argsort(records["heard_at"], kind="stable")[-CAPACITY:]
        return History(records[order])

    def replay(self, responses: Iterable[Response]) -> History:
        """Return the history after many responses, exactly as `respond` one by one leaves it.

        O(log n) for each of n responses, where `respond` copies the history.
        """
        # By track: preference, rating, heard_at, explicit, and when it was last moved to the end.
        kept: dict[int, tuple[np.float32, float, float, bool, int]] = {
            int(record["track"]): (
                np.float32(record["preference"]),
                float(record["rating"]),
                float(record["heard_at"]),
                bool(record["explicit"]),
                place,
            )
            for place, record in enumerate(self.records)
        }
        # The heap also holds places that a track has left since; those are passed over.
        oldest = [(entry[2], entry[4], track) for track, entry in kept.items()]
        heapq.heapify(oldest)
        for place, (track, preference, at, rating, explicit) in enumerate(responses, len(self)):
            new = (np.float32(preference), np.nan if rating is None else rating, at, explicit)
            if (old := kept.get(track)) is not None:
                if old[3] and (not explicit or old[2] > at):
                    new = old[:4]
                elif not explicit and not old[3]:
                    new = ((old[0] + new[0]) / np.float32(2), *new[1:])
                new = (*new[:2], max(old[2], at), new[3])
            kept[track] = (*new, place)
            heapq.heappush(oldest, (new[2], place, track))
            while len(kept) > CAPACITY:
                _, left, candidate = heapq.heappop(oldest)
                if candidate in kept and kept[candidate][4] == left:
                    del kept[candidate]
        order = sorted(kept.items(), key=lambda item: (item[1][2], item[1][4]))
        records = np.empty(len(order), _RECORD)
        for row, (track, entry) in enumerate(order):
            records[row] = (track, entry[0], entry[1], entry[2], entry[3])
        return History(records)
