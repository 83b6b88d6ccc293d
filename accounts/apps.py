"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who is this: users, listeners, preferences, tokens."""

    name = "accounts"

    def ready(self) -> None:
        """Register how the API is described, and what follows an authenticator's setting up."""
        from allauth.mfa.signals import authenticator_added

        from accounts import schema, second_factor  # noqa: F401

        authenticator_added.connect(
            second_factor.remember_setting_up, dispatch_uid="accounts.second_factor"
        )
