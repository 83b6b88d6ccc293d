"""Running a simulation: visits and responses in order of their time."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from django.db.models import Q

import bandits.services
import experiments.services
from accounts.models import Listener
from accounts.services import set_preferences
from accounts.vocabulary import Device, Mood
from bandits.models import Bandit
from musicrec.exceptions import RuleViolation
from recommendations.core.world import Outcome, Situation, World, expected_preferences
from recommendations.models import Recommendation, Track
from recommendations.services.demo import simulated_world
from recommendations.services.effects import drain_outbox
from recommendations.services.feedback import record_feedback
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
from recommendations.serving import state
from recommendations.simulation.scenario import (
    MAX_DAYS,
    Fashion,
    Scenario,
    alone,
    arranged,
    fashion_of,
    unsynchronised_commits,
    world_of,
)

SESSIONS_PER_DAY = 0.7
"""Mean sessions of a listener of middling activity."""

SLATE_LENGTH = 10
N_STATED_GENRES = 3
ATTENTION = 0.9
HOUR_S, DAY_S = 3600.0, 86_400.0

Progress = Callable[[float], None]
Drain = Callable[[datetime], None]


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
        truth: by variant, or by strategy where no experiment served, the mean preference that was
            to be expected of the tracks listed, weighted by how likely each is looked at.
        share_of_best: in `drift`, of each hundred lists since the change, how many were the new
            best arm's.
        experiment: key of the scenario's own, or empty.
        verdict: what its page says in the end.
    """

    sessions: int
    slates: int
    responses: int
    preference_by_strategy: dict[str, tuple[float, int]]
    truth: dict[str, float]
    share_of_best: list[float]
    experiment: str = ""
    verdict: str = ""


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


def drain_here(at: datetime) -> None:
    """Apply all that is owed, in this process, by what the worker runs."""
    while drain_outbox(at=at):
        pass


def simulate(
    listeners: Sequence[Listener],
    *,
    days: int,
    ends_at: datetime,
    scenario: Scenario | None = None,
    seed: int = 0,
    world: World | None = None,
    progress: Progress = lambda share: None,
    drain: Drain = drain_here,
) -> SimulationReport:
    """Let listeners use the system for some days that end at `ends_at`.

    Once a simulated hour rewards expire and are folded, once a day experiments are rolled up and
    judged, and the bandit's report is kept.

    Args:
        listeners: simulated ones; row i of the world is listener i.
        days: how long, 1 to `MAX_DAYS`.
        ends_at: the simulation's last moment; choose one that is not in the future.
        scenario: None for the system as it stands.  `a-b` tries trending lists against lists by
            content, which please more, and `a-a` trending lists against themselves, each in an
            experiment of its own; in `drift` the bandit serves everybody, and from half-way on
            another arm's lists please more; in `delay` 30 % of responses come late.
        seed: of everything drawn.
        world: whose tastes; made from `seed` where it is not given.
        progress: called with the share of the days that is done.
        drain: brings about that what is owed is applied.

    Raises:
        NothingToRecommend: the catalogue is empty.
        SimulationUnderWay: another one runs.
        ValueError: `days` is out of range, or a listener who is not simulated.
    """
    if not 1 <= days <= MAX_DAYS:
        raise ValueError(f"days must be from 1 to {MAX_DAYS}, got {days}")
    if not all(listener.is_simulated for listener in listeners):
        raise ValueError("only simulated listeners can be simulated")
    state.forget()
    catalogue = state.current().catalogue
    if not len(catalogue):
        raise NothingToRecommend("There is no catalogue. Load one, or run manage.py load_demo.")
    world = world or simulated_world(catalogue, n_listeners=len(listeners), seed=seed)
    began_at = ends_at - timedelta(days=days)
    run = _Run(
        listeners,
        world_of(scenario, world),
        fashion_of(scenario),
        began_at,
        days,
        seed,
        progress,
        drain,
    )
    arrangement = arranged(
        scenario, began_at=began_at, ends_at=ends_at, n_listeners=len(listeners), days=days
    )
    with alone(), unsynchronised_commits(), arrangement as experiment:
        report = run()
    if experiment is None:
        return report
    phase = experiment.phases.last()
    words = f"{phase.verdict}. {phase.verdict_words}"
    return replace(report, experiment=experiment.key, verdict=words)


class _Run:
    """One simulation: a queue of visits and responses in order of time."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        world: World,
        fashion: Fashion,
        began_at: datetime,
        days: int,
        seed: int,
        progress: Progress,
        drain: Drain,
    ) -> None:
        self.world, self.fashion = world, fashion
        self._state_preferences(listeners)
        self.listeners = [
            Listener.objects.select_related("preferences").get(pk=one.pk) for one in listeners
        ]
        self.began_at, self.days, self.progress, self.drain = began_at, days, progress, drain
        self.rng = np.random.default_rng(seed)
        self.tracks = {track.pk: track for track in Track.objects.active().select_related("artist")}
        self.row_of = {pk: row for row, pk in enumerate(state.current().catalogue.pks.tolist())}
        self.numbers = itertools.count()
        # (seconds since the beginning, a number that settles ties, what happens)
        self.queue: list[tuple[float, int, _Visit | _Response]] = []
        self.sessions = self.slates = self.responses = 0
        self.owes = False
        self.preferences: dict[str, list[float]] = defaultdict(list)
        self.truths: dict[str, list[float]] = defaultdict(list)
        self.is_best: list[bool] = []

    def __call__(self) -> SimulationReport:
        """Run it."""
        for row in range(len(self.listeners)):
            self._plan_visits(row)
        heapq.heapify(self.queue)
        end = self.days * DAY_S
        hour = 0
        while self.queue:
            time_s, _, event = heapq.heappop(self.queue)
            if time_s >= end:
                break
            while (hour + 1) * HOUR_S <= time_s:
                hour += 1
                self._every_hour(hour)
            if isinstance(event, _Visit):
                self._visit(event.listener, time_s)
            else:
                self._respond(event, self._at(time_s))
        while hour < self.days * 24:
            hour += 1
            self._every_hour(hour)
        hundreds = [self.is_best[i : i + 100] for i in range(0, len(self.is_best), 100)]
        return SimulationReport(
            self.sessions,
            self.slates,
            self.responses,
            {
                name: (float(np.mean(values)), len(values))
                for name, values in sorted(self.preferences.items())
            },
            {name: float(np.mean(values)) for name, values in sorted(self.truths.items())},
            [float(np.mean(hundred)) for hundred in hundreds if len(hundred) == 100],
        )

    def _every_hour(self, hour: int) -> None:
        """Do what the schedule does: apply, expire, fold, and at midnight report and judge."""
        at = self._at(hour * HOUR_S)
        self._settle(at)
        bandits.services.expire(at=at)
        every_bandit = list(Bandit.objects.all())
        for bandit in every_bandit:
            while bandits.services.fold(bandit, at=at):
                pass
        if hour % 24 == 0:
            for bandit in every_bandit:
                bandits.services.take_snapshot(bandit, at=at)
            experiments.services.roll_up(at=at)
        self.progress(hour / (self.days * 24))

    def _settle(self, at: datetime) -> None:
        """Apply what is owed: the worker is faster than any listener comes back."""
        if self.owes:
            self.drain(at)
            self.owes = False

    def _state_preferences(self, listeners: Sequence[Listener]) -> None:
        """Name the favourite genres of those who are new, as somebody does who signs up."""
        names = np.array(state.current().catalogue.content.genre_names)
        known = set(
            Listener.objects.filter(pk__in=[one.pk for one in listeners])
            .filter(Q(preferences__isnull=False) | Q(taste__n_feedback__gt=0))
            .values_list("pk", flat=True)
        )
        for row, listener in enumerate(listeners):
            if listener.pk not in known:
                best = np.argsort(-self.world.listeners.affinity[row])[:N_STATED_GENRES]
                set_preferences(listener=listener, genres=names[best].tolist())

    def _plan_visits(self, row: int) -> None:
        activity = float(self.world.listeners.activity[row])
        middle = float(np.median(self.world.listeners.activity)) or 1.0
        mean = SESSIONS_PER_DAY * self.days * min(3.0, max(0.2, activity / middle))
        for _ in range(self.rng.poisson(mean)):
            time_s = self.world.session_start(row, self.days, self.rng)
            self.queue.append((time_s, next(self.numbers), _Visit(row)))

    def _visit(self, row: int, time_s: float) -> None:
        """Ask for a list, go down it, and queue what is done with its tracks."""
        self._settle(self._at(time_s))
        self.sessions += 1
        world = self.world
        situation = world.situation(row, time_s, self.rng)
        slate = recommend(
            listener=self.listeners[row], wishes=_wishes(situation), at=self._at(time_s)
        ).recommendation
        self.slates += 1
        self.owes = True
        share = time_s / (self.days * DAY_S)
        rows = [self.row_of[pk] for pk in slate.tracks]
        utility = world.utility(row, rows, situation)
        utility = utility + self.fashion.appeal(slate.strategy, share=share)
        looked_at = ATTENTION ** np.arange(1, len(rows) + 1)
        truth = float(expected_preferences(utility) @ looked_at / looked_at.sum())
        self.truths[slate.variant or slate.strategy].append(truth)
        if self.fashion.changes and share >= 0.5:
            self.is_best.append(slate.strategy == self.fashion.after)
        for position, pk in enumerate(slate.tracks):
            if not world.examines(position, self.rng):
                continue
            outcome = world.outcome(rows[position], float(utility[position]), self.rng)
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
        self.owes = True
        self.preferences[response.slate.strategy].append(outcome.preference)

    def _at(self, time_s: float) -> datetime:
        return self.began_at + timedelta(seconds=time_s)


def _wishes(situation: Situation) -> Wishes:
    mood = Mood(situation.mood) if situation.mood and situation.mood_is_stated else None
    return Wishes(n=SLATE_LENGTH, mood=mood, device=Device(situation.device))
