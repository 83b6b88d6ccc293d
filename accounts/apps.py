"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who is this: users, listeners, preferences, tokens."""

    name = "accounts"

    def ready(self) -> None:
        """Register how the API is described, and what follows on signing in and its changes."""
        from allauth.mfa.signals import authenticator_added

        from accounts import schema, second_factor, sign_in_log  # noqa: F401

        sign_in_log.connect()

        authenticator_added.connect(
            second_factor.remember_setting_up, dispatch_uid="accounts.second_factor"
        )
