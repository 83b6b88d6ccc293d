"""What one request for recommendations asks for."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.vocabulary import Activity, Device, Mood


@dataclass(frozen=True)
class Wishes:
    """What one request asks for.

    Attributes:
        n: length of the list, 1 to 100.
        mood: what the listener is in the mood for, or None.
        device: what they listen on, or None.
        genres: only tracks of one of these, where there are any left; empty for all.
        exclude: external ids of tracks that must not come.
        adventure: 0 familiar to 1 adventurous; None leaves the ranking as it is.
        activity: what they are doing, or None.
    """

    n: int = 10
    mood: Mood | None = None
    device: Device | None = None
    genres: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    adventure: float | None = None
    activity: Activity | None = None

    @property
    def affect(self) -> tuple[float, float] | None:
        """Valence and arousal of mood and activity, their mean where both are given; in [0, 1]."""
        given = [wish for wish in (self.mood, self.activity) if wish]
        if not given:
            return None
        n = len(given)
        return sum(wish.valence for wish in given) / n, sum(wish.arousal for wish in given) / n

    def as_context(self) -> dict[str, object]:
        """Return what the ledger keeps of them."""
        given = {
            "mood": self.mood,
            "activity": self.activity,
            "device": self.device,
            "genres": list(self.genres),
            "exclude": list(self.exclude),
            "adventure": self.adventure,
        }
        return {name: value for name, value in given.items() if value not in (None, [])}
