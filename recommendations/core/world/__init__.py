"""A simulated world of listeners whose tastes are known: demo data, closed loops, noise floors.

It is a model made for testing, with no claim to be psychology. What it must do: reward a list that
matches, let context matter so that a contextual bandit has something to learn, leave something for
collaborative filtering that content cannot see, and state exactly what a perfect predictor gets.

**Utility.** Listener i meets track t in situation c with utility

    z = BIAS + TASTE * a_i.g_t + HIDDEN * f_i.f_t + FAVOURITE * [artist of t in F_i] + q_t
        + POPULARITY * (1 - 2 v_ic) * p_t + SOUND * (m_ict - 0.5)

- a_i: affinity per genre, a mixture of a few archetypes, each an anchor genre and those it shares
  tracks with; g_t spreads weight evenly over the track's genres.
- f_i, f_t: hidden factors, shared between tracks of an artist; no content feature shows them.
- F_i: favourite artists, drawn from the tracks the listener would like.
- q_t: quality; p_t: standardised popularity.
- v_ic: adventurousness in [0, 1]. Hands-free devices and high spirits lower it (people want what
  they know), a desktop and a weekend evening raise it. Below 1/2, popular tracks gain.
- m_ict in (0, 1]: closeness of the track's (energy, valence) to what is wanted now: the listener's
  own preference, drawn towards the mood's (arousal, valence), energy moved by the hour of day.

**Response.** Enjoyment is e = logistic(z + NOISE * x), x standard normal: the one source of noise
that no predictor can know. A listener then, with probability RATES, rates it 1 + 4e, rounded;
otherwise an enjoyment under SKIP_BELOW is a skip (sometimes a dislike), one over LOVE_ABOVE
sometimes a like or a save, and the rest a play with completion min(1, e / FULL_PLAY).

**Truth.** `expected_preference` is the mean of the response's preference over that noise, by
quadrature; `noise_floor` the mean absolute error left to a predictor that knows it.

Times are seconds from the world's start, which is midnight before a Monday, in the listener's
local time. Everything follows from the seeds of the generators passed in.
"""

from recommendations.core.world.history import HistoryEvent, demo_history
from recommendations.core.world.model import HANDS_FREE, World
from recommendations.core.world.population import Listeners, Situation, WorldCatalogue
from recommendations.core.world.responses import Outcome, expected_preferences

__all__ = [
    "HANDS_FREE",
    "HistoryEvent",
    "Listeners",
    "Outcome",
    "Situation",
    "World",
    "WorldCatalogue",
    "demo_history",
    "expected_preferences",
]
