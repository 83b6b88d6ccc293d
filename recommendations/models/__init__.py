"""Tables: catalogue, listening, ledger, registry, outbox."""

from recommendations.models.catalogue import Artist, Genre, Track
from recommendations.models.ledger import Recommendation
from recommendations.models.listening import (
    Feedback,
    Hidden,
    PlayCount,
    Retraction,
    Taste,
    TrackHeat,
)
from recommendations.models.outbox import OutboxEvent
from recommendations.models.registry import ModelVersion, ServingState, TrainingRun

__all__ = [
    "Artist",
    "Feedback",
    "Genre",
    "Hidden",
    "ModelVersion",
    "OutboxEvent",
    "PlayCount",
    "Recommendation",
    "Retraction",
    "ServingState",
    "Taste",
    "Track",
    "TrackHeat",
    "TrainingRun",
]
