"""Acts on an experiment: create, check, start, pause, cover, stop, ship, begin a phase."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from accounts.models import User
from experiments.core.assignment import ExperimentDefinition
from experiments.core.health import Check
from experiments.models import (
    AssignmentSettings,
    Experiment,
    ExperimentMetric,
    Metric,
    Phase,
    Variant,
)
from experiments.services import definitions, planning
from musicrec.exceptions import RuleViolation


class NotAllowedNow(RuleViolation):
    """The act does not fit the experiment's status."""

    code = "experiment_status"


class NotReady(RuleViolation):
    """A pre-launch check failed; the message says which."""

    code = "experiment_not_ready"


Status = Experiment.Status


@transaction.atomic
def create_from_template(
    *,
    key: str,
    hypothesis: str,
    policies: Sequence[str],
    goal: str = "mean_rating",
    guardrails: Sequence[str] = ("skip_rate", "latency_ms"),
    by: User | None = None,
) -> Experiment:
    """Create a draft with equal weights, the first policy as baseline, and every built-in metric.

    Raises:
        NotReady: fewer than two policies, one named twice, or an unknown metric.
    """
    if len(policies) < 2 or len(set(policies)) < len(policies):
        raise NotReady(f"policies: two or more different ones are needed, got {list(policies)}")
    metrics = {metric.key: metric for metric in Metric.objects.all()}
    if unknown := {goal, *guardrails} - metrics.keys():
        raise NotReady(f"metrics: unknown {', '.join(sorted(unknown))}")
    experiment = Experiment(key=key, hypothesis=hypothesis)
    _save(experiment, "created from a template", by)
    for position, policy in enumerate(policies):
        Variant.objects.create(
            experiment=experiment,
            key=policy,
            policy=policy,
            weight=1 / len(policies),
            position=position,
        )
    for metric_key, metric in metrics.items():
        role = ExperimentMetric.Role.SECONDARY
        if metric_key == goal:
            role = ExperimentMetric.Role.GOAL
        elif metric_key in guardrails:
            role = ExperimentMetric.Role.GUARDRAIL
        ExperimentMetric.objects.create(experiment=experiment, metric=metric, role=role)
    return experiment


def check_before_launch(experiment: Experiment) -> list[Check]:
    """Return what must be, or had better be, right before the experiment starts.

    A check named with "advice" does not hold the start back.
    """
    checks = [_check_weights(experiment), _check_metrics(experiment), _check_overlap(experiment)]
    return [*checks, planning.check_power(experiment)]


@transaction.atomic
def start(experiment: Experiment, *, at: datetime, by: User | None = None) -> Phase:
    """Start a draft, or go on with a paused experiment.

    Raises:
        NotAllowedNow: it is running or stopped.
        NotReady: a pre-launch check failed.
    """
    experiment = _locked(experiment, Status.DRAFT, Status.PAUSED, act="started")
    if experiment.status == Status.PAUSED:
        if experiment_clash := _clashing(experiment):
            raise NotReady(f"layer: {experiment_clash} has taken its place")
        _set_status(experiment, Status.RUNNING, "resumed", by)
        return experiment.phases.get(ended_at=None)
    failed = [check for check in check_before_launch(experiment) if not check.ok]
    if failed:
        raise NotReady(" ".join(f"{check.name}: {check.words}" for check in failed))
    phase = Phase.objects.create(
        experiment=experiment,
        number=experiment.phase_number,
        seed=experiment.phase_seed,
        started_at=at,
        planned_listeners=experiment.planned_listeners,
        weights={variant.key: variant.weight for variant in experiment.variants.all()},
        metric_roles={
            role.metric.key: role.role for role in experiment.metric_roles.select_related("metric")
        },
    )
    _set_status(experiment, Status.RUNNING, f"started phase {phase.number}", by)
    return phase


@transaction.atomic
def pause(experiment: Experiment, *, reason: str, by: User | None = None) -> None:
    """Stop assigning for a while; listeners get the default policy, their variants stay theirs."""
    experiment = _locked(experiment, Status.RUNNING, act="paused")
    _set_status(experiment, Status.PAUSED, f"paused: {_reason(reason)}", by)


@transaction.atomic
def change_coverage(experiment: Experiment, *, coverage: float, by: User | None = None) -> None:
    """Enrol another share of the eligible; nobody who is in changes variant.

    Raises:
        NotReady: the share is outside [0, 1].
    """
    if not 0 <= coverage <= 1:
        raise NotReady(f"coverage must be between 0 and 1, got {coverage}")
    experiment = _locked(experiment, Status.DRAFT, Status.RUNNING, Status.PAUSED, act="changed")
    change = f"coverage {experiment.coverage:.0%} to {coverage:.0%}"
    experiment.coverage = coverage
    _save(experiment, change, by)


@transaction.atomic
def stop(experiment: Experiment, *, reason: str, at: datetime, by: User | None = None) -> None:
    """End the experiment; everybody gets the default policy, its numbers stay."""
    experiment = _locked(experiment, Status.RUNNING, Status.PAUSED, act="stopped")
    _end_phase(experiment, reason=reason, at=at)
    _set_status(experiment, Status.STOPPED, f"stopped: {_reason(reason)}", by)


@transaction.atomic
def stop_variant(variant: Variant, *, reason: str, at: datetime, by: User | None = None) -> None:
    """Take one variant out; its listeners get the default policy, all others keep theirs.

    Where only the baseline would be left, the experiment stops.
    """
    experiment = _locked(variant.experiment, Status.RUNNING, Status.PAUSED, act="changed")
    if variant.position == 0:
        raise NotAllowedNow("The baseline cannot be stopped alone: stop the experiment.")
    if not Variant.objects.filter(pk=variant.pk, stopped_at=None).exists():
        return
    variant.stopped_at, variant.stop_reason = at, reason
    _save(variant, f"stopped: {reason}"[:100], by)
    if experiment.variants.filter(stopped_at=None).count() < 2:
        _end_phase(experiment, reason=reason, at=at)
        _set_status(experiment, Status.STOPPED, f"stopped: {reason}", by)


@transaction.atomic
def ship(
    experiment: Experiment,
    *,
    variant_key: str,
    reason: str,
    at: datetime,
    by: User | None = None,
) -> None:
    """Make the variant's policy the default and stop the experiment, if it still runs.

    Raises:
        NotAllowedNow: the experiment never started.
        NotReady: it has no such variant.
    """
    experiment = _locked(experiment, Status.RUNNING, Status.PAUSED, Status.STOPPED, act="shipped")
    variant = experiment.variants.filter(key=variant_key).first()
    if variant is None:
        raise NotReady(f"variant: {experiment.key} has no {variant_key!r}")
    settings, _ = AssignmentSettings.objects.select_for_update().get_or_create(pk=1)
    change = f"shipped {experiment.key}/{variant.key}"
    settings.default_policy = variant.policy
    _save(settings, change, by)
    if experiment.is_locked:
        _end_phase(experiment, reason=f"{change}: {reason}", at=at)
    _set_status(experiment, Status.STOPPED, f"{change}: {_reason(reason)}", by)


@transaction.atomic
def begin_phase(
    experiment: Experiment, *, reason: str, at: datetime, by: User | None = None
) -> None:
    """End the phase under way and open the plan for editing; starting again randomizes anew."""
    experiment = _locked(
        experiment, Status.RUNNING, Status.PAUSED, Status.STOPPED, act="given a new phase"
    )
    if experiment.is_locked:
        _end_phase(experiment, reason=reason, at=at)
    experiment.phase_number += 1
    for variant in experiment.variants.exclude(stopped_at=None):
        variant.stopped_at, variant.stop_reason = None, ""
        _save(variant, f"phase {experiment.phase_number}", by)
    _set_status(experiment, Status.DRAFT, f"new phase: {_reason(reason)}", by)


def _check_weights(experiment: Experiment) -> Check:
    try:
        define(experiment)
    except ValueError as error:
        return Check("weights", False, str(error))
    live = sum(variant.weight > 0 for variant in experiment.variants.all())
    if live < 2:
        return Check("weights", False, "Fewer than two variants have a weight above 0.")
    return Check("weights", True, f"{live} variants, weights sum to 1.")


def _check_metrics(experiment: Experiment) -> Check:
    roles = list(experiment.metric_roles.values_list("role", flat=True))
    if ExperimentMetric.Role.GOAL not in roles:
        return Check("metrics", False, "There is no goal metric.")
    guardrails = roles.count(ExperimentMetric.Role.GUARDRAIL)
    return Check("metrics", True, f"One goal and {guardrails} guardrails.")


def _check_overlap(experiment: Experiment) -> Check:
    if clash := _clashing(experiment):
        return Check("overlap", False, f"{clash} holds the same part of layer {experiment.layer}.")
    others = Experiment.objects.running().exclude(pk=experiment.pk).exclude(layer=experiment.layer)
    if keys := list(others.values_list("key", flat=True)):
        words = f"Advice: {', '.join(keys)} run in other layers and take their listeners first."
        return Check("overlap", True, words)
    return Check("overlap", True, "No other experiment holds these listeners.")


def _clashing(experiment: Experiment) -> str | None:
    if not experiment.layer:
        return None
    return (
        Experiment.objects.under_way()
        .exclude(pk=experiment.pk)
        .filter(
            layer=experiment.layer,
            layer_start__lt=experiment.layer_end,
            layer_end__gt=experiment.layer_start,
        )
        .values_list("key", flat=True)
        .first()
    )


def define(experiment: Experiment) -> ExperimentDefinition:
    """Return the core's view of the phase in preparation.

    Raises:
        ValueError: the variants cannot be assigned.
    """
    return definitions.define(experiment, seed=experiment.phase_seed)


def _locked(experiment: Experiment, *allowed: str, act: str) -> Experiment:
    fresh = Experiment.objects.select_for_update().get(pk=experiment.pk)
    if fresh.status not in allowed:
        raise NotAllowedNow(f"{fresh.key} is {fresh.status} and cannot be {act}.")
    return fresh


def _end_phase(experiment: Experiment, *, reason: str, at: datetime) -> None:
    experiment.phases.filter(ended_at=None).update(ended_at=at, end_reason=reason)


def _set_status(experiment: Experiment, status: str, change: str, by: User | None) -> None:
    experiment.status = status
    _save(experiment, change, by)


def _save(
    instance: Experiment | Variant | AssignmentSettings, change: str, by: User | None
) -> None:
    """Save with the history's who and why; without a user it is the system's own act."""
    instance._history_user = by  # type: ignore[union-attr]
    instance._change_reason = change[:100]  # type: ignore[union-attr]
    instance.save()


def _reason(reason: str) -> str:
    if not reason.strip():
        raise NotReady("reason: say why, the history keeps it")
    return reason.strip()
