"""The running experiments, compiled once per process and renewed when their version changes."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from experiments.core.assignment import (
    ExperimentDefinition,
    Holdout,
    Targeting,
    VariantDefinition,
    Visitor,
)
from experiments.models import AssignmentSettings, Experiment, Exposure, Phase
from musicrec.prepared import Statement


@dataclass(frozen=True)
class LiveExperiment:
    """A running experiment as this process knows it."""

    id: int
    phase_id: int
    phase: int
    definition: ExperimentDefinition
    variant_ids: dict[str, int]
    variant_keys: dict[int, str]


@dataclass(frozen=True)
class Definitions:
    """Everything assignment needs; immutable, so that threads may share it."""

    version: uuid.UUID | None = None
    default_policy: str = "neural_cf"
    holdout_policy: str = ""
    enabled: bool = False
    holdout: Holdout = field(default_factory=Holdout)
    experiments: tuple[LiveExperiment, ...] = ()

    @property
    def phase_ids(self) -> list[int]:
        """Primary keys of the phases under way."""
        return [experiment.phase_id for experiment in self.experiments]


_known = Definitions()

# One query: the version, and the rows that make this listener sticky.
_STATE = Statement(
    "experiments_state",
    """
SELECT s.version, e.phase_id, e.variant_id
FROM experiments_assignmentsettings s
LEFT JOIN experiments_exposure e ON e.listener_id = %s AND e.phase_id = ANY(%s)
WHERE s.id = 1
""",
)


def current(listener_id: int | None) -> tuple[Definitions, dict[int, int]]:
    """Return the definitions as of now, and the listener's variant id by phase id.

    One query, and more only in the request that first meets a new version.
    """
    global _known
    definitions = _known
    version, sticky = _state(listener_id, definitions.phase_ids)
    if version != definitions.version:
        definitions = load()
        _known = definitions
        _, sticky = _state(listener_id, definitions.phase_ids)
    return definitions, sticky


def current_of_many(listener_ids: Sequence[int]) -> tuple[Definitions, dict[int, dict[int, int]]]:
    """Return the definitions as of now, and variant ids by phase id for each listener exposed.

    Two queries however many listeners there are.
    """
    definitions, _ = current(None)
    sticky: dict[int, dict[int, int]] = {}
    exposures = Exposure.objects.filter(
        listener_id__in=listener_ids, phase_id__in=definitions.phase_ids
    )
    for listener, phase, variant in exposures.values_list("listener_id", "phase_id", "variant_id"):
        sticky.setdefault(listener, {})[phase] = variant
    return definitions, sticky


def load() -> Definitions:
    """Read the definitions from the database."""
    settings = AssignmentSettings.objects.filter(pk=1).first()
    if settings is None:
        return Definitions()
    phases = (
        Phase.objects.open()
        .filter(experiment__status=Experiment.Status.RUNNING)
        .select_related("experiment")
        .prefetch_related("experiment__variants")
        .order_by("started_at", "pk")
    )
    return Definitions(
        version=settings.version,
        default_policy=settings.default_policy,
        holdout_policy=settings.holdout_policy,
        enabled=settings.experiments_enabled,
        holdout=Holdout(seed=settings.holdout_seed, share=settings.holdout_share),
        experiments=tuple(_compile(phase) for phase in phases),
    )


def define(experiment: Experiment, *, seed: str) -> ExperimentDefinition:
    """Return the core's view of an experiment.

    Raises:
        ValueError: its variants cannot be assigned (too few, or weights that do not sum to 1).
    """
    return ExperimentDefinition(
        key=experiment.key,
        seed=seed,
        coverage=experiment.coverage,
        variants=tuple(
            VariantDefinition(
                key=variant.key,
                policy=variant.policy,
                weight=variant.weight,
                stopped=variant.stopped_at is not None,
            )
            for variant in experiment.variants.all()
        ),
        layer=experiment.layer or None,
        layer_ranges=((experiment.layer_start, experiment.layer_end),),
        targeting=Targeting(
            visitor=Visitor(experiment.visitor),
            min_account_age_days=experiment.min_account_age_days,
            max_account_age_days=experiment.max_account_age_days,
            devices=frozenset(experiment.devices),
            countries=frozenset(experiment.countries),
        ),
    )


def _compile(phase: Phase) -> LiveExperiment:
    experiment = phase.experiment
    variants = list(experiment.variants.all())
    return LiveExperiment(
        id=experiment.pk,
        phase_id=phase.pk,
        phase=phase.number,
        definition=define(experiment, seed=phase.seed),
        variant_ids={variant.key: variant.pk for variant in variants},
        variant_keys={variant.pk: variant.key for variant in variants},
    )


def _state(listener_id: int | None, phase_ids: list[int]) -> tuple[Any, dict[int, int]]:
    with connection.cursor() as cursor:
        _STATE.execute(cursor, [listener_id, phase_ids])
        rows = cursor.fetchall()
    version = rows[0][0] if rows else None
    return version, {phase_id: variant_id for _, phase_id, variant_id in rows if phase_id}
