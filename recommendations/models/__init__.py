"""Tables: catalogue, listening, ledger, registry, outbox."""

from recommendations.models.audit import AuditEntry
from recommendations.models.catalogue import Artist, Genre, Track, TrackLookup
from recommendations.models.history_import import HistoryImport
from recommendations.models.ledger import Recommendation
from recommendations.models.listening import (
    Feedback,
    HeatAllowance,
    HeatShare,
    Hidden,
    PlayCount,
    Retraction,
    Taste,
    TrackHeat,
)
from recommendations.models.operations import (
    ActivitySlot,
    CountedDay,
    Heartbeat,
    RequestMinute,
    SystemReading,
    SystemReport,
    TrackShown,
)
from recommendations.models.outbox import OutboxEvent
from recommendations.models.registry import ModelVersion, ServingState, TrainingRun
from recommendations.models.uploads import CatalogueUpload

__all__ = [
    "ActivitySlot",
    "Artist",
    "AuditEntry",
    "CatalogueUpload",
    "CountedDay",
    "Feedback",
    "Genre",
    "Heartbeat",
    "HeatAllowance",
    "HeatShare",
    "Hidden",
    "HistoryImport",
    "ModelVersion",
    "OutboxEvent",
    "PlayCount",
    "Recommendation",
    "RequestMinute",
    "Retraction",
    "ServingState",
    "SystemReading",
    "SystemReport",
    "Taste",
    "Track",
    "TrackHeat",
    "TrackLookup",
    "TrackShown",
    "TrainingRun",
]
