"""A listener's present session, kept up with each response."""

from __future__ import annotations

from dataclasses import dataclass

SESSION_GAP = 30 * 60.0
"""Seconds without a response after which a new session begins."""


@dataclass(frozen=True)
class Session:
    """Responses close together in time.

    Attributes:
        started_at: epoch seconds of its first response.
        last_at: epoch seconds of its latest response.
        n_tracks: responses in it.
        minutes: minutes of music heard in it.
        preference_sum: sum of their preferences.
        last_preference: preference of the latest.
    """

    started_at: float = 0.0
    last_at: float = 0.0
    n_tracks: int = 0
    minutes: float = 0.0
    preference_sum: float = 0.0
    last_preference: float = 0.5

    def respond(self, preference: float, at: float, *, minutes: float = 0.0) -> Session:
        """Return the session after a response; a new one where the gap was too long."""
        if self.n_tracks == 0 or at - self.last_at > SESSION_GAP:
            return Session(at, at, 1, minutes, preference, preference)
        if at < self.started_at - SESSION_GAP:
            return self  # a late report of an earlier session
        return Session(
            min(self.started_at, at),
            max(self.last_at, at),
            self.n_tracks + 1,
            self.minutes + minutes,
            self.preference_sum + preference,
            preference if at >= self.last_at else self.last_preference,
        )

    def at(self, moment: float) -> Session:
        """Return the session as it stands at `moment`: this one, or none yet."""
        return Session() if moment - self.last_at > SESSION_GAP else self
