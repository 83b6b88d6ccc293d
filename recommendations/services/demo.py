"""The demo: a hand-written catalogue, and simulated listeners whose tastes are known.

Everything about the listeners is simulated and marked so (`Listener.is_simulated`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import connection, transaction

from accounts.models import Listener
from accounts.vocabulary import Mood
from recommendations.core.world import HistoryEvent, World, WorldCatalogue, demo_history
from recommendations.models import Feedback, Track
from recommendations.services import trend
from recommendations.services.imports.reading import Rejects, copy_rows
from recommendations.services.imports.tracks import import_tracks
from recommendations.serving.catalogue import Catalogue, read_catalogue

CATALOGUE = Path(__file__).resolve().parent.parent / "demo" / "tracks.csv"
SEED = 2011
N_LISTENERS = 600
DAYS = 180
MET = (160, 300)
"""Different tracks that the least and the most active listener have met in that time."""


@dataclass(frozen=True)
class DemoReport:
    """What was loaded."""

    tracks: int
    listeners: int
    responses: int


@transaction.atomic
def load_demo(
    *,
    at: datetime,
    n_listeners: int = N_LISTENERS,
    seed: int = SEED,
    watch: Callable[[range], Iterable[int]] = iter,
) -> DemoReport:
    """Load the catalogue and simulated listeners with half a year of listening up to `at`.

    The same seed gives the same listeners.  Does nothing about listeners where there are simulated
    ones already.  `watch` is as in `demo_history`.
    """
    with Rejects(CATALOGUE.name, settings.VAR_DIR / "rejects" / "demo.csv", strict=True) as rejects:
        import_tracks(CATALOGUE, rejects=rejects)
    catalogue = read_catalogue(0)
    if Listener.objects.filter(is_simulated=True).exists():
        return DemoReport(len(catalogue), 0, 0)
    world = simulated_world(catalogue, n_listeners=n_listeners, seed=seed)
    listeners = Listener.objects.bulk_create(
        Listener(
            external_id=f"demo-listener-{number}",
            is_simulated=True,
            created_at=at - timedelta(days=DAYS),
        )
        for number in range(1, n_listeners + 1)
    )
    began = at - timedelta(days=DAYS)
    events = [
        event
        for event in demo_history(
            world, np.random.default_rng(seed + 1), DAYS, met=MET, watch=watch
        )
        if began + timedelta(seconds=event.time_s) < at
    ]
    with connection.cursor() as cursor:
        copy_rows(
            cursor,
            Feedback._meta.db_table,
            _COLUMNS,
            (
                _row(event, number, listeners[event.listener], catalogue, began)
                for number, event in enumerate(events)
            ),
        )
    trend.add_histories([listener.pk for listener in listeners], at=at)
    return DemoReport(len(catalogue), len(listeners), len(events))


def demo_world() -> World:
    """Return the world that the demo's listeners come from."""
    return simulated_world(read_catalogue(0), n_listeners=N_LISTENERS, seed=SEED)


def simulated_world(catalogue: Catalogue, *, n_listeners: int, seed: int) -> World:
    """Return a world of listeners for a catalogue."""
    hot = catalogue.content.genres
    genres = np.zeros((len(catalogue), hot.n_columns))
    genres[np.repeat(np.arange(hot.n_rows), np.diff(hot.starts)), hot.columns] = 1
    facts = {
        pk: values
        for pk, *values in Track.objects.active().values_list(
            "pk", "energy", "valence", "popularity", "duration_ms"
        )
    }
    table = np.array([facts[pk] for pk in catalogue.pks.tolist()], float)
    # A catalogue may lack a figure; its middle will do for a simulated listener.
    table = np.where(np.isnan(table), [0.5, 0.5, 50, 210_000], table)
    return World.simulate(
        n_listeners,
        seed,
        WorldCatalogue(
            genres=genres,
            artist=catalogue.artist_rows.astype(np.int64),
            energy=table[:, 0],
            valence=table[:, 1],
            popularity=table[:, 2],
            duration_s=table[:, 3] / 1000,
        ),
        {mood.value: (mood.valence, mood.arousal) for mood in Mood},
    )


_COLUMNS = (
    *("event_id", "listener_id", "track_id", "kind", "rating", "completion", "preference"),
    *("strategy", "context", "occurred_at", "received_at", "imported"),
)


def _row(
    event: HistoryEvent, number: int, listener: Listener, catalogue: Catalogue, began: datetime
) -> tuple[object, ...]:
    outcome, situation = event.outcome, event.situation
    moment = began + timedelta(seconds=event.time_s)
    context = {"device_type": situation.device}
    if situation.mood_is_stated and situation.mood:
        context["mood"] = situation.mood
    return (
        f"demo-{number}",
        listener.pk,
        int(catalogue.pks[event.track_row]),
        outcome.kind,
        round(outcome.value) if outcome.kind == "rating" else None,
        outcome.value if outcome.kind in ("play", "skip") else None,
        outcome.preference,
        "",  # no strategy showed it
        json.dumps(context),
        moment,
        moment,
        False,
    )
