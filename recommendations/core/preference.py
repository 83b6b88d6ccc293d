"""A response on one scale: 0 rejected, 1 loved."""

from __future__ import annotations

from collections.abc import Iterable

EARLY_SKIP = 0.5
"""A track skipped before this share of it was heard counts as rejected."""

EXPLICIT_KINDS = frozenset({"rating", "like", "dislike", "save", "hide"})
"""Kinds of feedback that say a preference; plays and skips only let one be concluded."""


def preference_of(
    kind: str, *, rating: int | None = None, completion: float | None = None
) -> float:
    """Return the preference in [0, 1] that a response shows.

    Args:
        kind: rating, like, dislike, save, hide, play or skip.
        rating: 1 to 5; needed for a rating.
        completion: share of the track that was heard, 0 to 1.  A play without it counts as
            complete, a skip without it as early.

    Raises:
        ValueError: an unknown kind, or a rating without its number.
    """
    match kind:
        case "rating":
            if rating is None:
                raise ValueError("a rating needs its number")
            return (rating - 1) / 4
        case "like" | "save":
            return 1.0
        case "dislike" | "hide":
            return 0.0
        case "play":
            return 1.0 if completion is None else completion
        case "skip":
            return 0.0 if completion is None or completion < EARLY_SKIP else completion
    raise ValueError(f"unknown kind of feedback: {kind!r}")


def preference_by_track(responses: Iterable[tuple[int, str, float]]) -> dict[int, float]:
    """Return one preference for each track responded to, however many responses it got.

    The last thing said counts; of a track of which nothing was said, the mean of what plays and
    skips let conclude.

    Args:
        responses: track, kind and preference, in the order in which they happened.
    """
    said: dict[int, float] = {}
    concluded: dict[int, list[float]] = {}
    for track, kind, preference in responses:
        if kind in EXPLICIT_KINDS:
            said[track] = preference
        else:
            concluded.setdefault(track, []).append(preference)
    return {track: sum(values) / len(values) for track, values in concluded.items()} | said
