"""Addresses of the bandits app."""

from django.urls import path

from bandits.views import ContextualBanditsView

urlpatterns = [
    path(
        "analytics/contextual-bandits", ContextualBanditsView.as_view(), name="contextual-bandits"
    ),
]
