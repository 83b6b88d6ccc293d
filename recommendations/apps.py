"""The recommendations app."""

from django.apps import AppConfig


class RecommendationsConfig(AppConfig):
    """What to play: catalogue, feedback, taste, strategies, models, training, the ledger."""

    name = "recommendations"
