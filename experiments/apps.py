"""The experiments app."""

from django.apps import AppConfig


class ExperimentsConfig(AppConfig):
    """Which policy a listener gets, and whether it worked."""

    name = "experiments"
