"""Writes of experiments, and the assignment of listeners."""

from experiments.ledger import ListenerEvent
from experiments.services.assignment import (
    Assignment,
    Route,
    assign,
    default_policy,
    record_exposure,
    route,
)
from experiments.services.events import apply_events, prune_keys
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
from experiments.services.rollup import judge_phase, roll_up

__all__ = [
    "Assignment",
    "ListenerEvent",
    "Route",
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
    "roll_up",
    "route",
    "settle_history",
    "ship",
    "start",
    "stop",
    "stop_variant",
]
