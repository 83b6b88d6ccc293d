"""The closed loop: simulated listeners ask, listen and respond through the real services.

Their tastes are known (`recommendations.core.world`), so what experiments and the bandit conclude
can be held against the truth.  The clock is the simulation's own and is handed to every service.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

import bandits.services
import experiments.services
from accounts.models import Listener
from accounts.vocabulary import Device, Mood
from bandits.models import Bandit
from experiments.models import Experiment, Phase
from musicrec.exceptions import RuleViolation
from recommendations.core.world import Outcome, Situation, World
from recommendations.models import Recommendation, Track
from recommendations.services.demo import simulated_world
from recommendations.services.effects import drain_outbox
from recommendations.services.feedback import record_feedback
from recommendations.services.recommend import Wishes, recommend
from recommendations.serving import state

Scenario = Literal["a-a", "a-b", "drift", "delay"]
SCENARIOS: tuple[Scenario, ...] = ("a-a", "a-b", "drift", "delay")

SESSIONS_PER_DAY = 0.7
"""Mean sessions of a listener of middling activity."""

SLATE_LENGTH = 10
LATE_SHARE = 0.3
AA_EXPERIMENT = "simulated_a_a"
AA_POLICIES = ("hybrid_ensemble", "neural_cf")

Progress = Callable[[float], None]


class NothingToRecommend(RuleViolation):
    """There is no catalogue to simulate with."""

    code = "nothing_to_recommend"


@dataclass(frozen=True)
class SimulationReport:
    """What happened.

    Attributes:
        sessions: how often somebody came.
        slates: lists served.
        responses: to tracks on them.
        preference_by_strategy: mean preference and number of responses by served strategy.
    """

    sessions: int
    slates: int
    responses: int
    preference_by_strategy: dict[str, tuple[float, int]]


@dataclass(frozen=True)
class _Visit:
    """A session that is due."""

    listener: int


@dataclass(frozen=True)
class _Response:
    """A response on its way."""

    listener: int
    track: Track
    outcome: Outcome
    slate: Recommendation


def new_listeners(n: int, *, seed: int, at: datetime) -> list[Listener]:
    """Return `n` simulated listeners for a seed, made where they are not there yet."""
    names = [f"simulated-{seed}-{number}" for number in range(1, n + 1)]
    Listener.objects.bulk_create(
        (Listener(external_id=name, is_simulated=True, created_at=at) for name in names),
        ignore_conflicts=True,
    )
    found = {
        listener.external_id: listener
        for listener in Listener.objects.filter(external_id__in=names)
    }
    return [found[name] for name in names]


def simulate(
    listeners: Sequence[Listener],
    *,
    days: int,
    ends_at: datetime,
    scenario: Scenario = "a-b",
    seed: int = 0,
    world: World | None = None,
    progress: Progress = lambda share: None,
) -> SimulationReport:
    """Let listeners use the system for some days that end at `ends_at`.

    Args:
        listeners: simulated ones; row i of the world is listener i.
        days: how long, >= 1.
        ends_at: the simulation's last moment; choose one that is not in the future.
        scenario: `a-b` runs the experiment as it stands; `a-a` one whose two variants have the
            same policy; in `drift` tastes change half-way; in `delay` 30 % of responses come late.
        seed: of everything drawn.
        world: whose tastes; made from `seed` where it is not given.
        progress: called with the share of the days that is done.

    Raises:
        NothingToRecommend: the catalogue is empty.
        ValueError: `days` < 1, or a listener who is not simulated.
    """
    if days < 1:
        raise ValueError(f"days must be >= 1, got {days}")
    if not all(listener.is_simulated for listener in listeners):
        raise ValueError("only simulated listeners can be simulated")
    state.forget()
    catalogue = state.current().catalogue
    if not len(catalogue):
        raise NothingToRecommend("There is no catalogue. Load one, or run manage.py load_demo.")
    world = world or simulated_world(catalogue, n_listeners=len(listeners), seed=seed)
    if scenario == "delay":
        world = world.with_late_responses(LATE_SHARE)
    began_at = ends_at - timedelta(days=days)
    _prepare_experiment(scenario, began_at)
    run = _Run(listeners, world, scenario, began_at, days, seed, progress)
    report = run()
    drain_everything(ends_at)
    bandits.services.expire(at=ends_at)
    for bandit in Bandit.objects.all():
        while bandits.services.fold(bandit, at=ends_at):
            pass
        bandits.services.take_snapshot(bandit, at=ends_at)
    experiments.services.roll_up(at=ends_at)
    return report


class _Run:
    """One simulation: a queue of visits and responses in order of time."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        world: World,
        scenario: Scenario,
        began_at: datetime,
        days: int,
        seed: int,
        progress: Progress,
    ) -> None:
        self.listeners = [
            Listener.objects.select_related("preferences").get(pk=one.pk) for one in listeners
        ]
        self.world = world
        self.later_world = world.drifted(seed + 1) if scenario == "drift" else world
        self.began_at, self.days, self.progress = began_at, days, progress
        self.rng = np.random.default_rng(seed)
        self.tracks = {track.pk: track for track in Track.objects.active().select_related("artist")}
        self.row_of = {pk: row for row, pk in enumerate(state.current().catalogue.pks.tolist())}
        self.numbers = itertools.count()
        # (seconds since the beginning, a number that settles ties, what happens)
        self.queue: list[tuple[float, int, _Visit | _Response]] = []
        self.sessions = self.slates = self.responses = 0
        self.preferences: dict[str, list[float]] = {}

    def __call__(self) -> SimulationReport:
        """Run it."""
        for row in range(len(self.listeners)):
            self._plan_visits(row)
        heapq.heapify(self.queue)
        end = self.days * 86_400.0
        expired_until = 0.0
        while self.queue:
            time_s, _, event = heapq.heappop(self.queue)
            if time_s >= end:
                break
            if time_s - expired_until > 3600:
                expired_until = time_s
                bandits.services.expire(at=self._at(time_s))
                self.progress(time_s / end)
            if isinstance(event, _Visit):
                self._visit(event.listener, time_s)
            else:
                self._respond(event, self._at(time_s))
        means = {
            name: (float(np.mean(values)), len(values))
            for name, values in sorted(self.preferences.items())
        }
        return SimulationReport(self.sessions, self.slates, self.responses, means)

    def _plan_visits(self, row: int) -> None:
        activity = float(self.world.listeners.activity[row])
        middle = float(np.median(self.world.listeners.activity)) or 1.0
        mean = SESSIONS_PER_DAY * self.days * min(3.0, max(0.2, activity / middle))
        for _ in range(self.rng.poisson(mean)):
            time_s = self.world.session_start(row, self.days, self.rng)
            self.queue.append((time_s, next(self.numbers), _Visit(row)))

    def _visit(self, row: int, time_s: float) -> None:
        """Ask for a list, go down it, and queue what is done with its tracks."""
        self.sessions += 1
        world = self._world(time_s)
        situation = world.situation(row, time_s, self.rng)
        slate = recommend(
            listener=self.listeners[row], wishes=_wishes(situation), at=self._at(time_s)
        ).recommendation
        self.slates += 1
        for position, pk in enumerate(slate.tracks):
            if not world.examines(position, self.rng):
                continue
            outcome = world.respond(row, self.row_of[pk], situation, self.rng)
            time_s += outcome.delay_s
            response = _Response(row, self.tracks[pk], outcome, slate)
            heapq.heappush(self.queue, (time_s, next(self.numbers), response))

    def _respond(self, response: _Response, at: datetime) -> None:
        outcome = response.outcome
        record_feedback(
            listener=self.listeners[response.listener],
            track=response.track,
            kind=outcome.kind,
            rating=round(outcome.value) if outcome.kind == "rating" else None,
            completion=outcome.value if outcome.kind in ("play", "skip") else None,
            recommendation=response.slate,
            at=at,
        )
        self.responses += 1
        strategy = response.slate.strategy
        self.preferences.setdefault(strategy, []).append(outcome.preference)
        drain_outbox(at=at)

    def _world(self, time_s: float) -> World:
        return self.world if time_s < self.days * 43_200 else self.later_world

    def _at(self, time_s: float) -> datetime:
        return self.began_at + timedelta(seconds=time_s)


def drain_everything(at: datetime) -> None:
    """Apply all that is owed."""
    while drain_outbox(at=at):
        pass


def _wishes(situation: Situation) -> Wishes:
    mood = Mood(situation.mood) if situation.mood and situation.mood_is_stated else None
    return Wishes(n=SLATE_LENGTH, mood=mood, device=Device(situation.device))


def _prepare_experiment(scenario: Scenario, began_at: datetime) -> None:
    """See to it that the experiment which the simulation fills was running when it began."""
    if scenario == "a-a" and not Experiment.objects.filter(key=AA_EXPERIMENT).exists():
        for experiment in Experiment.objects.filter(status=Experiment.Status.RUNNING):
            experiments.services.pause(experiment, reason="gives way to a simulated A/A test")
        test = experiments.services.create_from_template(
            key=AA_EXPERIMENT,
            hypothesis="Nothing differs: both variants have the same policy.",
            policies=AA_POLICIES,
        )
        test.variants.update(policy=AA_POLICIES[0])
        experiments.services.start(test, at=began_at)
    # A phase that nobody has entered began, for the simulation, with it.
    Phase.objects.filter(ended_at=None, exposure=None, started_at__gt=began_at).update(
        started_at=began_at
    )
