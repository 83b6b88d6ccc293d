"""How a listener responds to a track of given utility, and the truth behind the response."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["rating", "play", "skip", "dislike", "like", "save"]

NOISE = 0.45

RATES = 0.35
SKIP_BELOW = 0.2
DISLIKES = 0.15
LOVE_ABOVE = 0.8
LIKES = 0.25
SAVES = 0.15
FULL_PLAY = 0.9


@dataclass(frozen=True)
class Outcome:
    """What a listener did with one track.

    Attributes:
        kind: how they responded.
        value: the rating, 1 to 5; the completion of a play or skip, 0 to 1; else 1.
        preference: what it says, in [0, 1], by the rule of the design's "preference".
        delay_s: seconds until the system hears of it.
    """

    kind: Kind
    value: float
    preference: float
    delay_s: float


def expected_preferences(z: Floats) -> Floats:
    """Return the mean preference of a response to tracks of utility `z`, same shape.

    The quadrature is a sum over 2,001 points of the normal density, tabulated over z; linear
    interpolation between its points is right to about 1e-4.
    """
    result: Floats = np.interp(z, _Z, _EXPECTED)
    return result


def draw_response(z: float, rng: np.random.Generator) -> tuple[Kind, float]:
    """Draw the kind of response to utility `z`, and its value."""
    enjoyment = float(_logistic(np.array(z + NOISE * rng.standard_normal())))
    chance = rng.random()
    if rng.random() < RATES:
        return "rating", float(np.floor(1 + 4 * enjoyment + 0.5))
    if enjoyment < SKIP_BELOW:
        return ("dislike", 1.0) if chance < DISLIKES else ("skip", enjoyment)
    if enjoyment > LOVE_ABOVE and chance < LIKES + SAVES:
        return ("like", 1.0) if chance < LIKES else ("save", 1.0)
    return "play", min(1.0, enjoyment / FULL_PLAY)


def _branches(enjoyment: Floats) -> list[tuple[Floats, Floats]]:
    """Return the (probability, preference) branches of a response to each enjoyment."""
    rated = np.asarray(np.floor(4 * enjoyment + 0.5) / 4, dtype=np.float64)
    loved = np.where(enjoyment > LOVE_ABOVE, (1 - RATES) * (LIKES + SAVES), 0.0)
    heard: Floats = np.where(enjoyment < SKIP_BELOW, 0.0, np.minimum(1.0, enjoyment / FULL_PLAY))
    return [
        (np.full_like(enjoyment, RATES), rated),
        (loved, np.ones_like(enjoyment)),
        (1 - RATES - loved, heard),
    ]


def mean_absolute_error(z: float, prediction: float) -> float:
    """Return the mean distance of the response's preference from `prediction`, utility `z`."""
    branches = _branches(_logistic(z + NOISE * _X))
    return float(sum(_DENSITY @ (share * abs(value - prediction)) for share, value in branches))


def _logistic(z: Floats) -> Floats:
    e: Floats = 1.0 / (1.0 + np.exp(-z))
    return e


_X = np.linspace(-6.0, 6.0, 2001)
_DENSITY = np.exp(-(_X**2) / 2) / np.exp(-(_X**2) / 2).sum()
_Z = np.linspace(-12.0, 12.0, 961)
_EXPECTED: Floats = sum(
    (share * value) @ _DENSITY for share, value in _branches(_logistic(_Z[:, None] + NOISE * _X))
) + np.zeros_like(_Z)
