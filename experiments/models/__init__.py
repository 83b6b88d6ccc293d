"""Tables of experiments: what was planned, who met it, what they did, what it came to."""

from experiments.models.enrolment import Exposure, Phase
from experiments.models.measurement import (
    AppliedEvent,
    KeyHorizon,
    ListenerDay,
    ListenerTotal,
    SeenValue,
)
from experiments.models.planning import (
    AssignmentSettings,
    Experiment,
    ExperimentMetric,
    Metric,
    Variant,
)
from experiments.models.reporting import (
    CohortMoments,
    ExposureCount,
    RollUp,
    RollUpStep,
    TrendPoint,
)

__all__ = [
    "AppliedEvent",
    "AssignmentSettings",
    "CohortMoments",
    "Experiment",
    "ExperimentMetric",
    "Exposure",
    "ExposureCount",
    "KeyHorizon",
    "ListenerDay",
    "ListenerTotal",
    "Metric",
    "Phase",
    "RollUp",
    "RollUpStep",
    "SeenValue",
    "TrendPoint",
    "Variant",
]
