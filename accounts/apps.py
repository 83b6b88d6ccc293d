"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who is this: users, listeners, preferences, tokens."""

    name = "accounts"

    def ready(self) -> None:
        """Register how the API is described."""
        from accounts import schema  # noqa: F401
