"""What a simulation sets up before it begins, and puts back when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db import connection

import experiments.services
from experiments.models import AssignmentSettings, Experiment, Phase
from musicrec.exceptions import RuleViolation
from recommendations.core.world import World

Scenario = Literal["a-a", "a-b", "drift", "delay"]
SCENARIOS: tuple[Scenario, ...] = ("a-a", "a-b", "drift", "delay")

MAX_DAYS = 180
"""How far back a simulation may begin: for as long the keys of applied events are kept."""

LATE_SHARE = 0.3
BASELINE, TREATMENT = "trending", "content_based"
BEST_BEFORE, BEST_AFTER = "trending", "content_based"
APPEAL = 1.5
"""What is added to the utility of a track that a favoured strategy lists."""


SIMULATION_LOCK = 0x4D55_5349_4302


class SimulationUnderWay(RuleViolation):
    """Simulations run one at a time."""

    code = "simulation_under_way"


@dataclass(frozen=True)
class Fashion:
    """Which strategy's lists please more, whatever is on them: a best arm that is known.

    Attributes:
        before: favoured in the first half; empty for none.
        after: favoured in the second.
    """

    before: str = ""
    after: str = ""

    @property
    def changes(self) -> bool:
        """Whether another strategy is favoured from half-way on."""
        return self.before != self.after

    def appeal(self, strategy: str, *, share: float) -> float:
        """Return what a strategy's tracks gain in utility when `share` of the time is over."""
        favoured = self.before if share < 0.5 else self.after
        return APPEAL if favoured and strategy == favoured else 0.0


def fashion_of(scenario: Scenario | None) -> Fashion:
    """Return what is in fashion in a scenario."""
    if scenario == "a-b":
        return Fashion(TREATMENT, TREATMENT)
    return Fashion(BEST_BEFORE, BEST_AFTER) if scenario == "drift" else Fashion()


def world_of(scenario: Scenario | None, world: World) -> World:
    """Return the world as the scenario has it."""
    return world.with_late_responses(LATE_SHARE) if scenario == "delay" else world


@contextmanager
def arranged(
    scenario: Scenario | None, *, began_at: datetime, ends_at: datetime, n_listeners: int, days: int
) -> Iterator[Experiment | None]:
    """See to it that the scenario's experiment, or the bandit alone, serves while this is open.

    Yields the experiment of `a-a` and `a-b`, started at `began_at`; what ran before is paused
    meanwhile.  In `drift` no experiment runs and the default policy is the bandit.  Afterwards all
    is as it was, and the scenario's experiment is stopped, its results and verdict kept.
    """
    if scenario in (None, "delay"):
        # A phase that nobody has entered began, for the simulation, with it.
        Phase.objects.filter(ended_at=None, exposure=None, started_at__gt=began_at).update(
            started_at=began_at
        )
        yield None
        return
    paused = list(Experiment.objects.running())
    for experiment in paused:
        experiments.services.pause(experiment, reason=f"gives way to a simulation of {scenario}")
    default = AssignmentSettings.objects.get().default_policy
    own = None
    try:
        if scenario == "drift":
            AssignmentSettings.objects.update(default_policy="contextual_bandit")
        else:
            own = _begin_experiment(scenario, began_at=began_at, n_listeners=n_listeners, days=days)
        yield own
    finally:
        if own is not None and Experiment.objects.under_way().filter(pk=own.pk).exists():
            experiments.services.stop(own, reason="the simulation is over", at=ends_at)
        AssignmentSettings.objects.update(default_policy=default)
        # An operator may have stopped one meanwhile.
        still = Experiment.objects.filter(pk__in=[experiment.pk for experiment in paused])
        for experiment in still.filter(status=Experiment.Status.PAUSED):
            experiments.services.start(experiment, at=ends_at)


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of simulations: two at once would take the listeners from each other.

    Raises:
        SimulationUnderWay: another one runs.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [SIMULATION_LOCK])
        if not cursor.fetchone()[0]:
            raise SimulationUnderWay("Another simulation is under way; wait for its end.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [SIMULATION_LOCK])


@contextmanager
def unsynchronised_commits() -> Iterator[None]:
    """Commit without waiting for the disk: what a crash would lose is simulated."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO off")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET synchronous_commit")


def _begin_experiment(
    scenario: Scenario, *, began_at: datetime, n_listeners: int, days: int
) -> Experiment:
    """Create the scenario's experiment, or give it a new phase, and start it."""
    key = "simulated_" + scenario.replace("-", "_")
    test = Experiment.objects.filter(key=key).first()
    if test is None:
        test = experiments.services.create_from_template(
            key=key,
            hypothesis="Nothing differs: both variants have the same policy."
            if scenario == "a-a"
            else "Lists by content please more than what everybody plays (here they do).",
            policies=(BASELINE, TREATMENT),
        )
        if scenario == "a-a":
            for name in (BASELINE, TREATMENT):
                again = "" if name == BASELINE else "_again"
                test.variants.filter(key=name).update(key=BASELINE + again, policy=BASELINE)
    elif test.status != Experiment.Status.DRAFT:
        experiments.services.begin_phase(test, reason="simulated once more", at=began_at)
        test.refresh_from_db()
    test.layer = "simulated"
    test.planned_listeners = max(n_listeners, 10)
    test.min_days = min(test.min_days, days)
    test.save()
    experiments.services.start(test, at=began_at)
    test.refresh_from_db()
    return test
