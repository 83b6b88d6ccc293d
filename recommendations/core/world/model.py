"""The world: who likes what, when, and what comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from recommendations.core.preference import preference_of
from recommendations.core.world.population import (
    N_HIDDEN,
    Floats,
    Ints,
    Listeners,
    Situation,
    WorldCatalogue,
    draw_listeners,
    standardise,
)
from recommendations.core.world.responses import (
    Outcome,
    draw_response,
    expected_preferences,
    mean_absolute_error,
)

DAY_S = 86_400
HANDS_FREE = ("speaker", "car", "tv")

BIAS = -1.0
TASTE = 0.6
HIDDEN = 0.5
FAVOURITE = 0.8
QUALITY_SD = 0.25
POPULARITY = 0.6
SOUND = 2.4
SOUND_WIDTH = 0.28
MOOD_PULL = 0.65
HOUR_ENERGY = 0.15


@dataclass(frozen=True, eq=False)
class World:
    """Listeners, tracks and how the one responds to the other.

    Attributes:
        catalogue: the tracks.
        moods: name of a mood to its (valence, arousal), each in [0, 1].
        listeners: the tastes.
        track_hidden: hidden factors of the tracks, shape (n_tracks, N_HIDDEN).
        quality: shape (n_tracks,).
        fame: standardised popularity, shape (n_tracks,).
        late_share: share of responses that arrive 20 to 90 minutes late.
    """

    catalogue: WorldCatalogue
    moods: Mapping[str, tuple[float, float]]
    listeners: Listeners
    track_hidden: Floats
    quality: Floats
    fame: Floats
    late_share: float = 0.0

    @classmethod
    def simulate(
        cls,
        n_listeners: int,
        seed: int,
        catalogue: WorldCatalogue,
        moods: Mapping[str, tuple[float, float]],
    ) -> Self:
        """Return a world of `n_listeners` made from `seed`, the same one every time.

        Raises:
            ValueError: `n_listeners` < 1, or no mood is given.
        """
        if n_listeners < 1:
            raise ValueError(f"n_listeners must be >= 1, got {n_listeners}")
        if not moods:
            raise ValueError("moods must name at least one mood")
        rng = np.random.default_rng(seed)
        n_tracks = len(catalogue.artist)
        of_artist = rng.standard_normal((int(catalogue.artist.max()) + 1, N_HIDDEN))
        own = rng.standard_normal((n_tracks, N_HIDDEN))
        track_hidden = 0.8 * of_artist[catalogue.artist] + 0.6 * own
        quality = QUALITY_SD * rng.standard_normal(n_tracks)
        listeners = draw_listeners(n_listeners, catalogue, track_hidden, rng)
        fame = standardise(catalogue.popularity)
        return cls(catalogue, dict(moods), listeners, track_hidden, quality, fame)

    @property
    def n_listeners(self) -> int:
        """How many listeners there are."""
        return len(self.listeners.activity)

    def drifted(self, seed: int) -> Self:
        """Return the world after tastes have changed: use it from half-way on.

        Every listener takes over another one's genre affinities in part, and the adventurous become
        cautious and the other way round, so that the strategy that served best no longer does.
        """
        order = np.random.default_rng(seed).permutation(self.n_listeners)
        tastes = self.listeners
        affinity = standardise(0.4 * tastes.affinity + 0.9 * tastes.affinity[order])
        changed = replace(
            tastes,
            affinity=affinity,
            hidden=tastes.hidden[order],
            adventurousness=1.0 - tastes.adventurousness,
        )
        return replace(self, listeners=changed)

    def with_late_responses(self, share: float) -> Self:
        """Return the world in which `share` of the responses arrive 20 to 90 minutes late."""
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"share must be in [0, 1], got {share}")
        return replace(self, late_share=share)

    def session_start(self, listener: int, days: int, rng: np.random.Generator) -> float:
        """Draw when a session starts, in seconds: any of `days`, near the listener's hour."""
        hour = (self.listeners.peak_hour[listener] + 3.0 * rng.standard_normal()) % 24
        return float(rng.integers(days) * DAY_S + hour * 3600)

    def situation(self, listener: int, time_s: float, rng: np.random.Generator) -> Situation:
        """Draw where and how `listener` listens at `time_s`; the mood is stated half the time."""
        hour = time_s / 3600 % 24
        commuting = 7 <= hour < 9.5 or 16.5 <= hour < 18.5
        at_home = hour >= 18.5 or hour < 7
        shares = {
            "desktop": 0.2 if commuting else 0.25 if at_home else 0.45,
            "mobile": 0.4,
            "tablet": 0.05,
            "speaker": 0.2 if at_home else 0.05,
            "car": 0.3 if commuting else 0.05,
            "tv": 0.1 if at_home else 0.02,
        }
        weights = np.array(list(shares.values()))
        device = str(rng.choice(list(shares), p=weights / weights.sum()))
        mood = None
        if rng.random() < 0.7:
            names = list(self.moods)
            affect = np.array([self.moods[name] for name in names])
            wanted = np.array([self.listeners.valence[listener], _hour_energy(hour) + 0.5])
            closeness = np.exp(-((affect - wanted) ** 2).sum(axis=1) / 0.3)
            mood = str(rng.choice(names, p=closeness / closeness.sum()))
        stated = mood is not None and bool(rng.random() < 0.7)
        return Situation(hour, int(time_s // DAY_S) % 7, device, mood, stated)

    def utility(self, listener: int, rows: Sequence[int] | Ints, situation: Situation) -> Floats:
        """Return z of the module's text for each track in `rows`, shape (len(rows),).

        Raises:
            ValueError: the situation's mood is not one of the world's.
        """
        mood = situation.mood
        if mood is not None and mood not in self.moods:
            raise ValueError(f"mood must be one of {sorted(self.moods)}, got {mood!r}")
        valence, arousal = self.moods[mood] if mood is not None else (0.5, 0.5)
        pull = 0.0 if mood is None else MOOD_PULL
        tracks = np.asarray(rows, dtype=np.int64)
        who, what = self.listeners, self.catalogue

        genres = what.genres[tracks]
        n_genres = np.maximum(genres.sum(axis=1), 1.0)
        taste = genres @ who.affinity[listener] / n_genres
        hidden = self.track_hidden[tracks] @ who.hidden[listener] / np.sqrt(N_HIDDEN)
        favourite = np.isin(what.artist[tracks], who.favourites[listener])

        wanted_energy = (1 - pull) * who.energy[listener] + pull * arousal
        wanted_energy = np.clip(wanted_energy + _hour_energy(situation.hour), 0.0, 1.0)
        wanted_valence = (1 - pull) * who.valence[listener] + pull * valence
        distance2 = (what.energy[tracks] - wanted_energy) ** 2
        distance2 += 0.6 * (what.valence[tracks] - wanted_valence) ** 2
        sound = np.exp(-distance2 / (2 * SOUND_WIDTH**2))

        adventurous = who.adventurousness[listener]
        adventurous += {"desktop": 0.15}.get(situation.device, 0.0)
        adventurous -= 0.35 * (situation.device in HANDS_FREE)
        adventurous += 0.15 * (situation.weekday >= 4 and situation.hour >= 18)
        adventurous -= 2.0 * max(0.0, valence - 0.5) * max(0.0, arousal - 0.5)
        known = 1 - 2 * np.clip(adventurous, 0.0, 1.0)
        popularity = self.fame[tracks]

        z: Floats = (
            BIAS
            + TASTE * taste
            + HIDDEN * hidden
            + FAVOURITE * favourite
            + self.quality[tracks]
            + POPULARITY * known * popularity
            + SOUND * (sound - 0.5)
        )
        return z

    def expected_preference(self, listener: int, track_row: int, situation: Situation) -> float:
        """Return the truth: the mean preference of this listener's response, in [0, 1]."""
        return float(expected_preferences(self.utility(listener, [track_row], situation))[0])

    def examines(self, position: int, rng: np.random.Generator) -> bool:
        """Draw whether a listener gets as far as `position` (from 0) of a list and responds.

        Attention falls by a tenth per position, whatever is listed: a better list earns better
        responses, not more of them.
        """
        return bool(rng.random() < 0.9 ** (position + 1))

    def respond(
        self, listener: int, track_row: int, situation: Situation, rng: np.random.Generator
    ) -> Outcome:
        """Draw what `listener` does with the track when they meet it in `situation`."""
        return self.outcome(
            track_row, float(self.utility(listener, [track_row], situation)[0]), rng
        )

    def outcome(self, track_row: int, z: float, rng: np.random.Generator) -> Outcome:
        """Draw the response to a track whose `utility` is `z`, as `respond` does."""
        kind, value = draw_response(z, rng)
        preference = preference_of(kind, rating=round(value), completion=value)
        heard = value if kind in ("play", "skip") else 1.0
        delay_s = heard * float(self.catalogue.duration_s[track_row]) + rng.exponential(10.0)
        if self.late_share and rng.random() < self.late_share:
            delay_s += rng.uniform(20 * 60, 90 * 60)
        return Outcome(kind, value, preference, float(delay_s))

    def noise_floor(
        self,
        encounters: Sequence[tuple[int, int, Situation]],
        *,
        situation_known: bool = True,
        seed: int = 0,
    ) -> float:
        """Return the mean absolute error, on preferences, of predicting the truth.

        Args:
            encounters: (listener, track row, situation) of the responses predicted, at least one.
            situation_known: whether the predictor knows the situation; else it predicts the mean
                over 64 situations drawn for each listener, which leaves it a larger error.
            seed: of those situations.

        Returns:
            The error of a predictor of the conditional mean, in [0, 1].  Predicting the median
            instead would be a little lower; models are trained for the mean.
        """
        if not encounters:
            raise ValueError("encounters must not be empty")
        rng = np.random.default_rng(seed)
        drawn: dict[int, list[Situation]] = {}
        errors = []
        for listener, row, situation in encounters:
            z = self.utility(listener, [row], situation)
            if situation_known:
                prediction = float(expected_preferences(z)[0])
            else:
                if listener not in drawn:
                    times = [self.session_start(listener, 28, rng) for _ in range(64)]
                    drawn[listener] = [self.situation(listener, t, rng) for t in times]
                zs = [self.utility(listener, [row], other)[0] for other in drawn[listener]]
                prediction = float(expected_preferences(np.array(zs)).mean())
            errors.append(mean_absolute_error(float(z[0]), prediction))
        return float(np.mean(errors))


def _hour_energy(hour: float) -> float:
    """Return how much energy the hour adds: most at 19:00, least at 7:00."""
    return float(HOUR_ENERGY * np.cos(2 * np.pi * (hour - 19) / 24))
