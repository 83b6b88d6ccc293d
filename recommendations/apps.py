"""The recommendations app."""

from django.apps import AppConfig


class RecommendationsConfig(AppConfig):
    """What to play: catalogue, feedback, taste, strategies, models, training, the ledger."""

    name = "recommendations"

    def ready(self) -> None:
        """Tell the experiments where a recomputation finds every event."""
        from experiments import ledger
        from recommendations.services.effects import all_listener_events

        ledger.register(all_listener_events)
