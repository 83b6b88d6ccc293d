"""Writes of experiments, and the assignment of listeners."""

from experiments.ledger import ListenerEvent
from experiments.services.assignment import (
    Assignment,
    Route,
    Served,
    assign,
    default_policy,
    record_exposure,
    record_exposures,
    route,
    routes,
)
from experiments.services.definitions import Standing, standing_columns, standing_of
from experiments.services.events import apply_events, prune_keys, take_over
from experiments.services.judging import judge_phase
from experiments.services.lifecycle import (
    begin_phase,
    change_coverage,
    check_before_launch,
    create_from_template,
    pause,
    ship,
    start,
    stop,
    stop_variant,
)
from experiments.services.planning import plan_power
from experiments.services.recomputation import recompute, settle_history
from experiments.services.rollup import roll_up

__all__ = [
    "Assignment",
    "ListenerEvent",
    "Route",
    "Served",
    "Standing",
    "apply_events",
    "assign",
    "begin_phase",
    "change_coverage",
    "check_before_launch",
    "create_from_template",
    "default_policy",
    "judge_phase",
    "pause",
    "plan_power",
    "prune_keys",
    "recompute",
    "record_exposure",
    "record_exposures",
    "roll_up",
    "route",
    "routes",
    "settle_history",
    "ship",
    "standing_columns",
    "standing_of",
    "start",
    "stop",
    "stop_variant",
    "take_over",
]
