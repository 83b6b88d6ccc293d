"""The closed loop: simulated listeners ask, listen and respond through the real services.

Their tastes are known (`recommendations.core.world`), so what experiments and the bandit conclude
can be held against the truth.  The clock is the simulation's own and is handed to every service.
"""

from recommendations.simulation.run import (
    NothingToRecommend,
    SimulationReport,
    drain_here,
    new_listeners,
    simulate,
)
from recommendations.simulation.scenario import MAX_DAYS, SCENARIOS, Scenario

__all__ = [
    "MAX_DAYS",
    "SCENARIOS",
    "NothingToRecommend",
    "Scenario",
    "SimulationReport",
    "drain_here",
    "new_listeners",
    "simulate",
]
