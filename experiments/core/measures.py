"""What one event of a listener adds to each measure; metrics are made of measures."""

from collections.abc import Mapping
from dataclasses import dataclass, field

POSITIVE_PREFERENCE = 0.75
RESOLUTION = 2.0**-20

# Structural denominators: the same for every listener, or a matter of time alone.
LISTENERS = "listeners"
OBSERVED_DAYS = "observed_days"
# Numerators that count a value once per listener, and one that is a flag.
DISTINCT = frozenset({"distinct_artists", "successful_slates"})
RETURNED = "returned"

EVENT_MEASURES = (
    "completion_sum",
    "dislikes",
    "fallbacks",
    "latency_ms_sum",
    "likes",
    "plays",
    "preference_sum",
    "rating_sum",
    "ratings",
    "responses",
    "saves",
    "skips",
    "slates",
)
NUMERATORS = tuple(sorted({*EVENT_MEASURES, *DISTINCT, RETURNED}))
DENOMINATORS = (LISTENERS, OBSERVED_DAYS, "plays", "ratings", "responses", "slates")


@dataclass(frozen=True)
class Contribution:
    """What an event adds.

    Attributes:
        amounts: by measure; a multiple of 2^-20, so that sums of doubles are exact in any order.
        values: by distinct measure, the value to be counted once.
    """

    amounts: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


def contribution(kind: str, values: Mapping[str, object]) -> Contribution:
    """Return what an event adds to the measures.

    A skip is a play that was cut short, so it counts as a play too.  A slate succeeds with its
    first response whose preference is at least 0.75 (a like, a save, four stars, most of a play).

    Args:
        kind: "slate" or "feedback".
        values: of a slate `latency_ms` and `fallback`; of feedback `kind`, `rating` (1 to 5),
            `completion` and `preference` (0 to 1), `track_artist_id`, `slate_id`; any may be
            missing or None.

    Raises:
        ValueError: an unknown kind, or a number that is none or not finite.
    """
    if kind == "slate":
        amounts = {
            "slates": 1.0,
            "latency_ms_sum": _number(values, "latency_ms"),
            "fallbacks": float(bool(values.get("fallback"))),
        }
        return Contribution(amounts={name: amount for name, amount in amounts.items() if amount})
    if kind != "feedback":
        raise ValueError(f"kind must be slate or feedback, got {kind!r}")
    act = values.get("kind")
    amounts = {"responses": 1.0, "preference_sum": _number(values, "preference")}
    distinct: dict[str, str] = {}
    if act == "rating":
        amounts |= {"ratings": 1.0, "rating_sum": _number(values, "rating")}
    elif act in ("like", "dislike", "save"):
        amounts[f"{act}s"] = 1.0
    elif act in ("play", "skip"):
        amounts |= {"plays": 1.0, "completion_sum": _number(values, "completion")}
        if act == "skip":
            amounts["skips"] = 1.0
        elif (artist := values.get("track_artist_id")) is not None:
            distinct["distinct_artists"] = str(artist)
    elif act != "hide":
        raise ValueError(f"values.kind of feedback is unknown: {act!r}")
    slate = values.get("slate_id")
    if slate is not None and _number(values, "preference") >= POSITIVE_PREFERENCE:
        distinct["successful_slates"] = str(slate)
    return Contribution(
        amounts={name: amount for name, amount in amounts.items() if amount}, values=distinct
    )


def _number(values: Mapping[str, object], name: str) -> float:
    value = values.get(name)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**31:
        raise ValueError(f"values.{name} must be a number, got {value!r}")
    return round(value / RESOLUTION) * RESOLUTION
