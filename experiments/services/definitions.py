"""The running experiments, compiled once per process and renewed when their version changes."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, Func, OuterRef, Subquery
from django.db.models.expressions import Expression, RawSQL

from experiments.core.assignment import (
    ExperimentDefinition,
    Holdout,
    Targeting,
    VariantDefinition,
    Visitor,
)
from experiments.models import AssignmentSettings, Experiment, Exposure, Phase
from musicrec.prepared import Parameter, PreparedRow


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


@dataclass(frozen=True)
class Standing:
    """What the database says of a listener's experiments.

    Attributes:
        version: of the definitions, None where there are none.
        variant_ids: the variants that they were shown, by phase under way.
    """

    version: uuid.UUID | None
    variant_ids: Mapping[int, int]


def standing_columns(listener: OuterRef | RawSQL) -> dict[str, Expression]:
    """Return columns by which any query that finds a row by its listener reads a standing along.

    Args:
        listener: the listener's primary key, in terms of that query.
    """
    shown = Exposure.objects.filter(listener_id=listener, phase__in=Phase.objects.open())
    pair = Func(
        "phase_id",
        "variant_id",
        template="ARRAY[%(expressions)s]",
        output_field=ArrayField(BigIntegerField()),
    )
    return {
        "definitions_version": Subquery(AssignmentSettings.objects.filter(pk=1).values("version")),
        "variants_shown": ArraySubquery(shown.values_list(pair)),
    }


def standing_of(row: Any) -> Standing:
    """Return the standing that was read along with a row, by `standing_columns`."""
    return Standing(row.definitions_version, dict(row.variants_shown))


_STANDING = PreparedRow(
    lambda: AssignmentSettings.objects.annotate(**standing_columns(Parameter("listener")()))
)


def read_standing(listener_id: int | None) -> Standing:
    """Return the standing of a listener, or that of nobody; one query."""
    row = _STANDING.get(listener=listener_id)
    return Standing(None, {}) if row is None else standing_of(row)


def current(standing: Standing) -> Definitions:
    """Return the definitions as of a standing; queries only where its version is new here."""
    global _known
    definitions = _known
    if standing.version != definitions.version:
        definitions = _known = load()
    return definitions


def current_of_many(listener_ids: Sequence[int]) -> tuple[Definitions, dict[int, dict[int, int]]]:
    """Return the definitions as of now, and variant ids by phase id for each listener exposed.

    Two queries however many listeners there are.
    """
    definitions = current(read_standing(None))
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
