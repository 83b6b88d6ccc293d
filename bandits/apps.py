"""The bandits app."""

from django.apps import AppConfig


class BanditsConfig(AppConfig):
    """Which arm now, and with what probability."""

    name = "bandits"
