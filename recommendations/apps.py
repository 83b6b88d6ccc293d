"""The recommendations app."""

from django.apps import AppConfig


class RecommendationsConfig(AppConfig):
    """What to play: catalogue, feedback, taste, strategies, models, training, the ledger."""

    name = "recommendations"

    def ready(self) -> None:
        """Tell the experiments where every event is found; take visitors in who sign in."""
        from allauth.account.signals import user_signed_up
        from django.contrib.auth.signals import user_logged_in

        from experiments import ledger
        from recommendations.services.effects import all_listener_events
        from recommendations.services.visitors import join_account, join_new_account

        ledger.register(all_listener_events)
        user_signed_up.connect(join_new_account, dispatch_uid="recommendations.signed_up")
        user_logged_in.connect(join_account, dispatch_uid="recommendations.logged_in")
