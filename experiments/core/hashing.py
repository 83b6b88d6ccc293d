"""GrowthBook's deterministic hash of a unit id to [0, 1), and ranges of it.

Source: GrowthBook, "Build your own SDK", specification 0.7.1.  Version 2 is the one to use.
Version 1 is here because its published vectors pin the same FNV-1a below it; its last digits
are biased and two experiments hashed by it depend on each other.
"""

from collections.abc import Sequence

BUCKETS_V1 = 1_000
BUCKETS_V2 = 10_000

Range = tuple[float, float]


def fnv1a32(text: str) -> int:
    """Return the 32-bit FNV-1a hash of `text`, one step per character.

    Raises:
        ValueError: `text` is not ASCII; SDKs of different languages would disagree on it.
    """
    hashed = 0x811C9DC5
    try:
        octets = text.encode("ascii")
    except UnicodeEncodeError as error:
        raise ValueError(f"a hashed id and seed must be ASCII, got {text!r}") from error
    for octet in octets:
        hashed = ((hashed ^ octet) * 0x01000193) & 0xFFFFFFFF
    return hashed


def hash_unit(seed: str, unit_id: str, *, version: int = 2) -> float | None:
    """Return where `unit_id` falls in [0, 1) under `seed`, or None for an unknown version.

    Version 2 has a resolution of 1/10,000, version 1 of 1/1,000.
    """
    if version == 2:
        return fnv1a32(str(fnv1a32(seed + unit_id))) % BUCKETS_V2 / BUCKETS_V2
    if version == 1:
        return fnv1a32(unit_id + seed) % BUCKETS_V1 / BUCKETS_V1
    return None


def equal_weights(n_variants: int) -> list[float]:
    """Return `n_variants` equal weights that sum to 1; empty for none."""
    return [1 / n_variants] * n_variants if n_variants > 0 else []


def bucket_ranges(
    n_variants: int, coverage: float = 1.0, weights: Sequence[float] | None = None
) -> list[Range]:
    """Return one half-open range of [0, 1) per variant, in order.

    A range starts where the full weight of its predecessors ends and is `coverage` of its own
    weight long, so that raising coverage only ever adds units and moves none.  Coverage is
    clamped to [0, 1]; weights of the wrong number, or whose sum is outside [0.99, 1.01], are
    replaced by equal ones, as the specification says.
    """
    coverage = min(1.0, max(0.0, coverage))
    if weights is None or len(weights) != n_variants or not 0.99 <= sum(weights) <= 1.01:
        weights = equal_weights(n_variants)
    ranges = []
    start = 0.0
    for weight in weights:
        ranges.append((start, start + coverage * weight))
        start += weight
    return ranges


def in_ranges(position: float, ranges: Sequence[Range]) -> bool:
    """Return whether `position` lies in one of the half-open `ranges`."""
    return any(low <= position < high for low, high in ranges)


def choose_range(position: float, ranges: Sequence[Range]) -> int:
    """Return the index of the first range that holds `position`, or -1."""
    for index, (low, high) in enumerate(ranges):
        if low <= position < high:
            return index
    return -1
