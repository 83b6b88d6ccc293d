"""Where the ticks and labels of a chart go."""

from collections.abc import Sequence
from math import floor, log10


def nice_ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Return round numbers, evenly spaced, whose first and last enclose `low` and `high`."""
    if high <= low:
        high = low + 1.0
    rough = (high - low) / about
    magnitude = 10.0 ** floor(log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough * (1 - 1e-9))
    first = floor(low / step + 1e-9)
    last = -floor(-high / step + 1e-9)
    return [round(step * k, 12) for k in range(first, last + 1)]


def spread(places: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Return each place moved so that neighbours are at least `gap` apart, in the same order.

    Keeps within low to high as long as they all fit; where they do not, overlaps the low end.
    """
    order = sorted(range(len(places)), key=places.__getitem__)
    moved: list[float] = []
    for index in order:
        moved.append(max(places[index], moved[-1] + gap if moved else low))
    limit = high
    for row in range(len(moved) - 1, -1, -1):
        moved[row] = min(moved[row], limit)
        limit = moved[row] - gap
    result = [0.0] * len(places)
    for index, place in zip(order, moved, strict=True):
        result[index] = place
    return result
