"""What listeners did before any recommender helped them: the demo's first training data."""

from dataclasses import dataclass

import numpy as np

from recommendations.core.world.model import World
from recommendations.core.world.population import Situation
from recommendations.core.world.responses import Outcome


@dataclass(frozen=True)
class HistoryEvent:
    """One thing a simulated listener did.

    Attributes:
        listener: row of the listener.
        track_row: row of the track.
        time_s: when, in seconds from the world's start.
        situation: in which situation.
        outcome: what they did.
    """

    listener: int
    track_row: int
    time_s: float
    situation: Situation
    outcome: Outcome


def demo_history(
    world: World, rng: np.random.Generator, days: int, *, shortest: int = 30, longest: int = 60
) -> list[HistoryEvent]:
    """Return what the world's listeners did by themselves over `days`, in order of time.

    Each listener meets `shortest` to `longest` different tracks, more the more active they are, in
    sessions of a few tracks around their hour of day. They find tracks by popularity and by taste
    (a Gumbel draw without replacement from a softmax), as people do before any recommender helps.

    Raises:
        ValueError: `days` < 1, or not 1 <= `shortest` <= `longest`.
    """
    if days < 1:
        raise ValueError(f"days must be >= 1, got {days}")
    if not 1 <= shortest <= longest:
        raise ValueError(f"need 1 <= shortest <= longest, got {shortest} and {longest}")
    n_tracks = len(world.catalogue.artist)
    all_rows = np.arange(n_tracks)
    activity_rank = np.argsort(np.argsort(world.listeners.activity)) / max(world.n_listeners - 1, 1)
    events = []
    for listener in range(world.n_listeners):
        count = round(shortest + activity_rank[listener] * (longest - shortest))
        neutral = Situation(hour=13.0, weekday=2, device="mobile")
        leaning = world.utility(listener, all_rows, neutral) + 0.5 * world.fame
        found = np.argsort(-(leaning + rng.gumbel(size=n_tracks)))[:count]
        found = rng.permutation(found)
        met = 0
        while met < len(found):
            time_s = world.session_start(listener, days, rng)
            situation = world.situation(listener, time_s, rng)
            session = found[met : met + int(rng.integers(2, 9))]
            for row, z in zip(session, world.utility(listener, session, situation), strict=True):
                outcome = world.outcome(int(row), float(z), rng)
                events.append(HistoryEvent(listener, int(row), time_s, situation, outcome))
                time_s += outcome.delay_s
            met += len(session)
    return sorted(events, key=lambda event: (event.time_s, event.listener))
