"""What listeners did before any recommender helped them: the demo's first training data."""

from collections.abc import Callable, Iterable
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
    world: World,
    rng: np.random.Generator,
    days: int,
    *,
    met: tuple[int, int] = (30, 60),
    watch: Callable[[range], Iterable[int]] = iter,
) -> list[HistoryEvent]:
    """Return what the world's listeners did by themselves over `days`, in order of time.

    Each listener meets different tracks, more of them the more active they are, in sessions of a
    few tracks around their hour of day. They find tracks by popularity and by taste (a Gumbel draw
    without replacement from a softmax), as people do before any recommender helps.

    Args:
        world: of whom and of what.
        rng: of everything they do.
        days: how long they listen.
        met: how many tracks the least and the most active one meet.
        watch: is given the listeners' rows and hands them on, so that it can show how far it is.

    Raises:
        ValueError: `days` < 1, or not 1 <= the first of `met` <= the second.
    """
    if days < 1:
        raise ValueError(f"days must be >= 1, got {days}")
    least, most = met
    if not 1 <= least <= most:
        raise ValueError(f"met must be two rising numbers from 1 on, got {met}")
    n_tracks = len(world.catalogue.artist)
    all_rows = np.arange(n_tracks)
    activity_rank = np.argsort(np.argsort(world.listeners.activity)) / max(world.n_listeners - 1, 1)
    events = []
    for listener in watch(range(world.n_listeners)):
        count = round(least + activity_rank[listener] * (most - least))
        neutral = Situation(hour=13.0, weekday=2, device="mobile")
        leaning = world.utility(listener, all_rows, neutral) + 0.5 * world.fame
        found = np.argsort(-(leaning + rng.gumbel(size=n_tracks)))[:count]
        found = rng.permutation(found)
        n_met = 0
        while n_met < len(found):
            time_s = world.session_start(listener, days, rng)
            situation = world.situation(listener, time_s, rng)
            session = found[n_met : n_met + int(rng.integers(2, 9))]
            for row, z in zip(session, world.utility(listener, session, situation), strict=True):
                outcome = world.outcome(int(row), float(z), rng)
                events.append(HistoryEvent(listener, int(row), time_s, situation, outcome))
                time_s += outcome.delay_s
            n_met += len(session)
    return sorted(events, key=lambda event: (event.time_s, event.listener))
