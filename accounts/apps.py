"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who is this: users, listeners, preferences, tokens."""

    name = "accounts"
