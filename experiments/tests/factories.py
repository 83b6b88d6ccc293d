"""Rows for tests, with defaults that make sense together."""

from datetime import UTC, datetime, timedelta
from itertools import count

from accounts.models import Listener
from experiments import services
from experiments.ledger import ListenerEvent
from experiments.models import AssignmentSettings, Experiment, ListenerDay, ListenerTotal

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
_numbers = count(1)


def make_listener(**fields):
    return Listener.objects.create(**{"created_at": NOW - timedelta(days=30)} | fields)


def make_draft(*, policies=("a", "b"), goal="mean_rating", **fields):
    """An experiment over two policies, in a layer of its own, not started."""
    number = next(_numbers)
    experiment = services.create_from_template(
        key=f"exp-{number}", hypothesis="b is better", policies=policies, goal=goal
    )
    for name, value in ({"layer": f"layer-{number}", "seed": "fixed"} | fields).items():
        setattr(experiment, name, value)
    experiment.save()
    return experiment


def make_running(*, at=NOW, **fields):
    """A running experiment over two policies; the built-in one is out of the way."""
    AssignmentSettings.objects.get_or_create(pk=1)
    Experiment.objects.running().update(status=Experiment.Status.PAUSED)
    experiment = make_draft(**fields)
    services.start(experiment, at=at)
    experiment.refresh_from_db()
    return experiment


def expose(listener, *, at=NOW, fallback=False, **attributes):
    """Assign and serve; return the assignment."""
    assignment = services.assign(listener, attributes=attributes, at=at)
    services.record_exposure(
        assignment, listener, served_policy=assignment.policy, fallback=fallback, at=at
    )
    return assignment


def feedback(listener, kind="rating", *, at=NOW, key=None, **values):
    return ListenerEvent(
        event_key=key or f"feedback-{next(_numbers)}",
        listener_id=listener.pk,
        kind="feedback",
        at=at,
        values={"kind": kind, "preference": values.pop("preference", 0.5)} | values,
    )


def slate(listener, *, at=NOW, key=None, latency_ms=10.0, fallback=False):
    return ListenerEvent(
        event_key=key or f"slate-{next(_numbers)}",
        listener_id=listener.pk,
        kind="slate",
        at=at,
        values={"latency_ms": latency_ms, "fallback": fallback},
    )


def totals():
    """Every sum that is kept, comparable with ==."""
    columns = ("numerator", "denominator")
    return (
        list(
            ListenerTotal.objects.order_by("exposure", "metric__key").values_list(
                "exposure", "metric__key", *columns, "pre_numerator", "pre_denominator"
            )
        ),
        list(
            ListenerDay.objects.order_by("listener", "metric__key", "day").values_list(
                "listener", "metric__key", "day", *columns
            )
        ),
    )


def total(listener, metric):
    row = ListenerTotal.objects.get(exposure__listener=listener, metric__key=metric)
    return row.numerator, row.denominator


def a_busy_week(listeners, rng):
    """Events of several kinds, before and after exposure, out of order."""
    events = []
    for listener in listeners:
        for _ in range(12):
            at = NOW + timedelta(hours=rng.uniform(-200, 200))
            slate_id = f"s{rng.randrange(4)}"
            events += [
                slate(listener, at=at, latency_ms=rng.uniform(1, 50)),
                feedback(
                    listener,
                    "play",
                    at=at,
                    completion=rng.random(),
                    preference=rng.random(),
                    track_artist_id=rng.randrange(5),
                    slate_id=slate_id,
                ),
                feedback(listener, "rating", at=at, rating=rng.randint(1, 5), slate_id=slate_id),
                feedback(listener, rng.choice(["like", "skip", "save", "dislike"]), at=at),
            ]
    rng.shuffle(events)
    return events
