"""The context of a decision: 20 numbers that say when, in what mood, where and to whom.

Every number lies in about [-1, 1] and 0 means "unknown", so that a linear model treats a missing
fact as the average one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

SCHEMA_VERSION = 1
"""Changes whenever a number is added, dropped or scaled anew: old posteriors do not fit then."""

NAMES = (
    "hour_sin",
    "hour_cos",
    "weekday_sin",
    "weekday_cos",
    "weekend",
    "valence",
    "arousal",
    "mood_given",
    "mobile",
    "desktop",
    "hands_free",
    "feedback_count",
    "mean_preference",
    "genre_entropy",
    "skip_rate",
    "days_since_last_visit",
    "session_tracks",
    "session_minutes",
    "session_mean_preference",
    "last_preference",
)
N_FEATURES = len(NAMES)
DIMENSION = N_FEATURES + 1
"""Features and the intercept, which comes last."""

DEVICE_KINDS = {
    "mobile": "mobile",
    "tablet": "mobile",
    "desktop": "desktop",
    "speaker": "hands_free",
    "car": "hands_free",
    "tv": "hands_free",
}

# The value at which a logarithmic number reaches 1; what is larger is cut there.
_FEEDBACK_AT_ONE = 1000
_DAYS_AT_ONE = 90
_TRACKS_AT_ONE = 100
_MINUTES_AT_ONE = 240


@dataclass(frozen=True, kw_only=True)
class Context:
    """What is known when a strategy is chosen; None wherever a fact is unknown.

    Attributes:
        local_time: the listener's own wall clock (its zone is not looked at).
        valence: of the mood asked for, in [0, 1]; given together with `arousal` or not at all.
        arousal: of the mood asked for, in [0, 1].
        device: one of `DEVICE_KINDS`.
        feedback_count: responses of this listener so far, >= 0.
        mean_preference: of all their responses, in [0, 1].
        genre_entropy: of what they listen to, divided by its largest value, in [0, 1].
        skip_rate: skips per response, in [0, 1].
        days_since_last_visit: >= 0.
        session_tracks: tracks played in this session, >= 0.
        session_minutes: since this session began, >= 0.
        session_mean_preference: of the responses in this session, in [0, 1].
        last_preference: of the latest response, in [0, 1].
    """

    local_time: datetime | None = None
    valence: float | None = None
    arousal: float | None = None
    device: str | None = None
    feedback_count: int | None = None
    mean_preference: float | None = None
    genre_entropy: float | None = None
    skip_rate: float | None = None
    days_since_last_visit: float | None = None
    session_tracks: int | None = None
    session_minutes: float | None = None
    session_mean_preference: float | None = None
    last_preference: float | None = None

    def __post_init__(self) -> None:
        if (self.valence is None) != (self.arousal is None):
            raise ValueError(
                f"valence and arousal come together, got {self.valence} and {self.arousal}"
            )
        if self.device is not None and self.device not in DEVICE_KINDS:
            raise ValueError(f"device must be one of {sorted(DEVICE_KINDS)}, got {self.device!r}")
        for name in (
            "valence",
            "arousal",
            "mean_preference",
            "genre_entropy",
            "skip_rate",
            "session_mean_preference",
            "last_preference",
        ):
            _check_range(name, getattr(self, name), 1.0)
        for name in (
            "feedback_count",
            "days_since_last_visit",
            "session_tracks",
            "session_minutes",
        ):
            _check_range(name, getattr(self, name), math.inf)

    def vector(self) -> NDArray[np.float64]:
        """Return the numbers in the order of `NAMES`, shape (20,), each in [-1, 1]."""
        return np.array(
            [
                *_time(self.local_time),
                _centred(self.valence),
                _centred(self.arousal),
                0.0 if self.valence is None else 1.0,
                *_device(self.device),
                _logarithmic(self.feedback_count, _FEEDBACK_AT_ONE),
                _centred(self.mean_preference),
                _centred(self.genre_entropy),
                _centred(self.skip_rate),
                _logarithmic(self.days_since_last_visit, _DAYS_AT_ONE),
                _logarithmic(self.session_tracks, _TRACKS_AT_ONE),
                _logarithmic(self.session_minutes, _MINUTES_AT_ONE),
                _centred(self.session_mean_preference),
                _centred(self.last_preference),
            ]
        )


def with_intercept(contexts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `contexts`, shape (..., 20), with a last column of ones, shape (..., 21)."""
    return np.concatenate([contexts, np.ones((*contexts.shape[:-1], 1))], axis=-1)


def _check_range(name: str, value: float | None, high: float) -> None:
    if value is not None and not 0 <= value <= high:  # NaN fails both comparisons
        raise ValueError(f"{name} must be in [0, {high:g}], got {value}")


def _time(local_time: datetime | None) -> tuple[float, float, float, float, float]:
    if local_time is None:
        return (0.0,) * 5
    hour = 2 * math.pi * (local_time.hour + local_time.minute / 60) / 24
    weekday = 2 * math.pi * local_time.weekday() / 7
    weekend = 1.0 if local_time.weekday() >= 5 else -1.0
    return math.sin(hour), math.cos(hour), math.sin(weekday), math.cos(weekday), weekend


def _device(device: str | None) -> tuple[float, float, float]:
    kind = None if device is None else DEVICE_KINDS[device]
    return float(kind == "mobile"), float(kind == "desktop"), float(kind == "hands_free")


def _centred(share: float | None) -> float:
    """Map [0, 1] onto [-1, 1]."""
    return 0.0 if share is None else 2.0 * share - 1.0


def _logarithmic(amount: float | None, at_one: float) -> float:
    """Map 0 to -1 and `at_one` or more to 1, logarithmically between."""
    if amount is None:
        return 0.0
    return min(2.0 * math.log1p(amount) / math.log1p(at_one) - 1.0, 1.0)
