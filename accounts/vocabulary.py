"""The words for a listener's situation that every app shares: moods and devices."""

from django.db import models


class Mood(models.TextChoices):
    """What a listener says they are in the mood for."""

    HAPPY = "happy"
    SAD = "sad"
    ENERGETIC = "energetic"
    CALM = "calm"
    PARTY = "party"
    FOCUS = "focus"
    ROMANTIC = "romantic"
    ANGRY = "angry"

    @property
    def valence(self) -> float:
        """How positive the mood is, in [0, 1]."""
        return _AFFECT[self][0]

    @property
    def arousal(self) -> float:
        """How activated the mood is, in [0, 1]; compared with a track's energy."""
        return _AFFECT[self][1]


# (valence, arousal): places on the circumplex of affect (Russell, J. Pers. Soc. Psychol. 1980),
# read off its quadrants by us and scaled to [0, 1], the scale of a track's valence and energy.
_AFFECT = {
    Mood.HAPPY: (0.90, 0.65),
    Mood.SAD: (0.15, 0.25),
    Mood.ENERGETIC: (0.70, 0.90),
    Mood.CALM: (0.60, 0.20),
    Mood.PARTY: (0.85, 0.85),
    Mood.FOCUS: (0.50, 0.35),
    Mood.ROMANTIC: (0.65, 0.35),
    Mood.ANGRY: (0.20, 0.90),
}


class Activity(models.TextChoices):
    """What a listener is doing while they listen."""

    WAKING = "waking"
    COMMUTE = "commute"
    WORK = "work"
    WORKOUT = "workout"
    RELAX = "relax"
    PARTY = "party"
    SLEEP = "sleep"

    @property
    def valence(self) -> float:
        """How positive the music that suits it is, in [0, 1]."""
        return _ACTIVITY_AFFECT[self][0]

    @property
    def arousal(self) -> float:
        """How activated that music is, in [0, 1]; compared with a track's energy."""
        return _ACTIVITY_AFFECT[self][1]


# (valence, arousal) on the same scale, set by us: what a mood would be where an activity is named
# in its place.  `docs/strategies.md` shows the table.
_ACTIVITY_AFFECT = {
    Activity.WAKING: (0.70, 0.50),
    Activity.COMMUTE: (0.60, 0.60),
    Activity.WORK: (0.50, 0.40),
    Activity.WORKOUT: (0.70, 0.90),
    Activity.RELAX: (0.60, 0.25),
    Activity.PARTY: (0.85, 0.85),
    Activity.SLEEP: (0.45, 0.10),
}


class Device(models.TextChoices):
    """What the listener listens on."""

    DESKTOP = "desktop"
    MOBILE = "mobile"
    TABLET = "tablet"
    SPEAKER = "speaker"
    CAR = "car"
    TV = "tv"
