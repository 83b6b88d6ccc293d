"""What a listener responded to, packed so that a request reads it in one column of one row."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Response = tuple[int, float, float, float | None, bool]
"""Track, preference, epoch seconds, rating or None, explicit: the arguments of `respond`."""

CAPACITY = 1000
"""Tracks kept; the ones heard longest ago give way."""

_COLUMNS = [("track", "<i8"), ("preference", "<f4"), ("rating", "<f4"), ("heard_at", "<f8")]
_RECORD = np.dtype([*_COLUMNS, ("said_at", "<f8")])

# A track that was heard again since its preference was said has a second record, which holds when
# that was as `heard_at`; its track is negated, so the release before this one, which must read what
# this one packs, takes it for a track that is not in the catalogue.
_PACKED = np.dtype([*_COLUMNS, ("explicit", "?")])


@dataclass(frozen=True, eq=False)
class History:
    """The tracks a listener responded to, each once, the one heard last at the end.

    Attributes:
        records: structured array, shape (n,), with the fields
            track: primary key of the track;
            preference: in [0, 1];
            rating: 1 to 5, NaN where none was given;
            heard_at: seconds since 1970 (UTC);
            said_at: likewise, when the preference was said (rated, liked, saved, hidden); NaN
                where it is only concluded from playing.
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
        records["said_at"] = np.nan if explicit is None else np.where(explicit, heard_at, np.nan)
        order = np.argsort(records["heard_at"], kind="stable")[-CAPACITY:]
        return cls(records[order])

    @classmethod
    def from_bytes(cls, packed: bytes | memoryview) -> History:
        """Return the history that `to_bytes` packed.

        Raises:
            ValueError: the length is no multiple of a record's.
        """
        rows = np.frombuffer(packed, _PACKED)
        is_second = rows["track"] < 0
        some_are = bool(is_second.any())
        firsts = rows[~is_second] if some_are else rows
        records = np.empty(len(firsts), _RECORD)
        for name, _ in _COLUMNS:
            records[name] = firsts[name]
        records["said_at"] = np.where(firsts["explicit"], firsts["heard_at"], np.nan)
        if some_are:
            seconds = rows[is_second]
            _, of, which = np.intersect1d(records["track"], -seconds["track"], return_indices=True)
            records["said_at"][of] = seconds["heard_at"][which]
        return cls(records)

    def to_bytes(self) -> bytes:
        """Return the records packed, little-endian, without padding."""
        said_at = self.records["said_at"]
        rows = np.empty(len(self), _PACKED)
        for name, _ in _COLUMNS:
            rows[name] = self.records[name]
        rows["explicit"] = ~np.isnan(said_at)
        is_heard_again = said_at < rows["heard_at"]
        seconds = rows[is_heard_again]
        seconds["track"] *= -1
        seconds["heard_at"] = said_at[is_heard_again]
        return seconds.tobytes() + rows.tobytes()

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
        first and whatever was played meanwhile; of two plays their mean.
        """
        place = np.flatnonzero(self.tracks == track)
        said_at = at if explicit else np.nan
        new = np.zeros(1, _RECORD)
        new[0] = (track, preference, np.nan if rating is None else rating, at, said_at)
        if place.size:
            old = self.records[place[0]]
            was_said = not np.isnan(old["said_at"])
            if was_said and (not explicit or old["said_at"] > at):
                new[0] = old
            elif not explicit and not was_said:
                new["preference"] = (old["preference"] + np.float32(preference)) / 2
            new["heard_at"] = max(float(old["heard_at"]), at)
        records = np.concatenate([np.delete(self.records, place), new])
        order = np.argsort(records["heard_at"], kind="stable")[-CAPACITY:]
        return History(records[order])

    def replay(self, responses: Iterable[Response]) -> History:
        """Return the history after many responses, exactly as `respond` one by one leaves it.

        O(log n) for each of n responses, where `respond` copies the history.
        """
        # By track: preference, rating, heard_at, said_at, and when it was last moved to the end.
        kept: dict[int, tuple[np.float32, float, float, float, int]] = {
            int(record["track"]): (
                np.float32(record["preference"]),
                float(record["rating"]),
                float(record["heard_at"]),
                float(record["said_at"]),
                place,
            )
            for place, record in enumerate(self.records)
        }
        # The heap also holds places that a track has left since; those are passed over.
        oldest = [(entry[2], entry[4], track) for track, entry in kept.items()]
        heapq.heapify(oldest)
        for place, (track, preference, at, rating, explicit) in enumerate(responses, len(self)):
            said_at = at if explicit else np.nan
            new = (np.float32(preference), np.nan if rating is None else rating, at, said_at)
            if (old := kept.get(track)) is not None:
                was_said = not math.isnan(old[3])
                if was_said and (not explicit or old[3] > at):
                    new = old[:4]
                elif not explicit and not was_said:
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
