"""Assigning a listener, and recording that the variant was really served."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from accounts.models import Listener
from experiments.core.assignment import Choice, Reason, choose_variant
from experiments.services import definitions
from experiments.services.definitions import (
    Definitions,
    LiveExperiment,
    Standing,
    read_standing,
)

NEW_FOR = timedelta(days=1)


@dataclass(frozen=True)
class Assignment:
    """The variant a listener gets, and what recording its exposure needs.

    Attributes:
        experiment_id: primary key.
        experiment_key: stable name.
        phase: number of the randomization.
        variant_key: name of the variant.
        policy: what the variant prescribes.
        phase_id: primary key of the phase.
        variant_id: primary key of the variant.
        segment: new or returning, and the device.
        forced: asked for by staff; never recorded.
        exposed_before: there is an exposure already, so that none needs to be written.
    """

    experiment_id: int
    experiment_key: str
    phase: int
    variant_key: str
    policy: str
    phase_id: int
    variant_id: int
    segment: str
    forced: bool = False
    exposed_before: bool = False

    @property
    def is_to_be_recorded(self) -> bool:
        """Whether serving it is a first exposure."""
        return not (self.forced or self.exposed_before)


@dataclass(frozen=True)
class Route:
    """What to serve: the policy, and the assignment it comes from, if any."""

    policy: str
    assignment: Assignment | None = None


def route(
    listener: Listener,
    *,
    attributes: Mapping[str, object],
    at: datetime,
    forced: Mapping[str, str] | None = None,
    standing: Standing | None = None,
) -> Route:
    """Return the policy to serve this listener, and the assignment behind it.

    One query; none where what it would ask was read along with something else.

    A slate has one policy, so of several experiments that would take the listener the one that
    started first does.

    Args:
        listener: whom to serve.
        attributes: `device`, and where better known than here `country`, `is_new`,
            `account_age_days`.
        at: now.
        forced: variant key by experiment key; honoured for staff only.
        standing: the listener's, read just now by `standing_columns`.
    """
    standing = standing or read_standing(listener.pk)
    known = definitions.current(standing)
    shown = standing.variant_ids
    return _route(known, shown, listener, attributes=attributes, at=at, forced=forced)


def routes(
    listeners: Mapping[int, tuple[Listener, Mapping[str, object]]], *, at: datetime
) -> dict[int, Route]:
    """Return what `route` would for many listeners, by primary key, in two queries.

    Args:
        listeners: each with its attributes, by primary key.
        at: now.
    """
    known, sticky = definitions.current_of_many(list(listeners))
    return {
        pk: _route(known, sticky.get(pk, {}), listener, attributes=attributes, at=at)
        for pk, (listener, attributes) in listeners.items()
    }


def _route(
    known: Definitions,
    sticky: Mapping[int, int],
    listener: Listener,
    *,
    attributes: Mapping[str, object],
    at: datetime,
    forced: Mapping[str, str] | None = None,
) -> Route:
    unit_id = str(listener.uuid)
    described = _describe(listener, attributes, at)
    if forced and not (listener.user_id and listener.user.is_staff):
        forced = None
    for experiment in known.experiments:
        variant_id = sticky.get(experiment.phase_id)
        choice = choose_variant(
            experiment.definition,
            unit_id,
            described,
            enabled=known.enabled,
            forced=(forced or {}).get(experiment.definition.key),
            holdout=known.holdout,
            sticky=experiment.variant_keys.get(variant_id) if variant_id else None,
        )
        if choice.variant is not None:
            assignment = _assignment(experiment, choice, described, variant_id)
            return Route(assignment.policy, assignment)
    return Route(_policy_without_experiment(known, unit_id))


def assign(
    listener: Listener,
    *,
    attributes: Mapping[str, object],
    at: datetime,
    forced: Mapping[str, str] | None = None,
) -> Assignment | None:
    """Return the listener's assignment, or None where the default policy applies; one query."""
    return route(listener, attributes=attributes, at=at, forced=forced).assignment


def default_policy(listener: Listener | None = None) -> str:
    """Return the policy outside of experiments; one query.

    With a listener, one who is held out gets the holdout's own policy.  `route` answers this and
    the assignment together.
    """
    known = definitions.current(read_standing(None))
    return _policy_without_experiment(known, str(listener.uuid) if listener else "")


# A second variant marks the row instead of vanishing; the same one again writes nothing.
_EXPOSE = """
INSERT INTO experiments_exposure AS e (phase_id, listener_id, variant_id, exposed_at, segment,
                                       served_policy, fallback, multiple, history_settled)
VALUES {rows}
ON CONFLICT (phase_id, listener_id) DO UPDATE SET multiple = true
WHERE e.variant_id <> EXCLUDED.variant_id AND NOT e.multiple
"""


def record_exposure(
    assignment: Assignment,
    listener: Listener,
    *,
    served_policy: str,
    fallback: bool,
    at: datetime,
) -> None:
    """Record that the listener was served, once per listener and phase.

    Call it in the transaction that writes the slate.  At most one query, none for a listener who
    was exposed before.  What was assigned is the variant; what was served is kept beside it.
    """
    record_exposures([Served(assignment, listener, served_policy, fallback)], at=at)


@dataclass(frozen=True)
class Served:
    """What a listener was served under an assignment; see `record_exposure`."""

    assignment: Assignment
    listener: Listener
    served_policy: str
    fallback: bool


def record_exposures(served: Sequence[Served], *, at: datetime) -> None:
    """Record that listeners, each once, were served; one query at most.

    Call it in the transaction that writes the slates.
    """
    rows = [
        (
            one.assignment.phase_id,
            one.listener.pk,
            one.assignment.variant_id,
            at,
            one.assignment.segment,
            one.served_policy,
            one.fallback,
        )
        for one in served
        if one.assignment.is_to_be_recorded
    ]
    if not rows:
        return
    rows.sort(key=lambda row: row[:2])  # in one order, so that two writers never deadlock
    template = ", ".join(["(%s, %s, %s, %s, %s, %s, %s, false, false)"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(_EXPOSE.format(rows=template), [value for row in rows for value in row])


def _assignment(
    experiment: LiveExperiment,
    choice: Choice,
    described: Mapping[str, object],
    exposed_variant_id: int | None,
) -> Assignment:
    variant = choice.variant
    assert variant is not None  # noqa: S101 - callers branch on it
    visitor = "new" if described["is_new"] else "returning"
    return Assignment(
        experiment_id=experiment.id,
        experiment_key=experiment.definition.key,
        phase=experiment.phase,
        variant_key=variant.key,
        policy=variant.policy,
        phase_id=experiment.phase_id,
        variant_id=experiment.variant_ids[variant.key],
        segment=f"{visitor}/{described.get('device') or 'unknown'}"[:32],
        forced=choice.reason is Reason.FORCED,
        exposed_before=exposed_variant_id is not None,
    )


def _describe(
    listener: Listener, attributes: Mapping[str, object], at: datetime
) -> dict[str, object]:
    age = at - listener.created_at
    known: dict[str, object] = {
        "is_new": age < NEW_FOR,
        "account_age_days": age / timedelta(days=1),
    }
    if listener.country:
        known["country"] = listener.country
    return known | {key: value for key, value in attributes.items() if value is not None}


def _policy_without_experiment(known: Definitions, unit_id: str) -> str:
    if known.holdout_policy and unit_id and known.holdout.holds(unit_id):
        return known.holdout_policy
    return known.default_policy
