"""``manage.py service_account``: services that bring their own listeners, and their keys."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import ServiceAccount, ServiceKey
from accounts.service_accounts import Scope
from accounts.services import issue_service_key, revoke_service_key


class Command(BaseCommand):
    """Makes keys of services, lists them and revokes them."""

    help = "Make a key for a service (shown once), list keys, revoke one, or switch a service off."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the acts."""
        acts = parser.add_subparsers(dest="act", required=True)
        create = acts.add_parser("create", help="make a key; the service too, if it is new")
        create.add_argument("name")
        create.add_argument(
            "--scopes", nargs="+", choices=Scope.values, default=["read", "write", "recommend"]
        )
        create.add_argument("--days", type=int, help="until the key expires; never if left out")
        create.add_argument("--key-name", default="", help="to tell keys apart")
        acts.add_parser("list", help="list services and keys")
        revoke = acts.add_parser("revoke", help="end a key at once")
        revoke.add_argument("key", type=int, help="its number in the list")
        disable = acts.add_parser("disable", help="switch a service off with all of its keys")
        disable.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what is asked for."""
        getattr(self, options["act"])(**options)

    def create(
        self, *, name: str, scopes: list[str], days: int | None, key_name: str, **_: Any
    ) -> None:
        """Make a key and print it, alone on standard output."""
        if days is not None and not 1 <= days <= 36_500:
            raise CommandError(f"--days must lie between 1 and 36500, got {days}.")
        now = timezone.now()
        service = ServiceAccount.objects.filter(name=name).first() or ServiceAccount(name=name)
        try:
            service.full_clean()
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        service.save()
        expires_at = now + timedelta(days=days) if days else None
        key, secret = issue_service_key(
            service=service, scopes=scopes, at=now, name=key_name[:100], expires_at=expires_at
        )
        self.stderr.write(f"Key {key.pk} of {service.name}, shown this once:")
        self.stdout.write(secret)

    def list(self, **_: Any) -> None:
        """Print every key, without its secret."""
        for key in ServiceKey.objects.select_related("service").order_by("service__name", "pk"):
            state = "revoked" if key.revoked_at else "" if key.service.is_active else "disabled"
            ends = f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "no end"
            self.stdout.write(
                f"{key.pk:>5}  {key.service.name:24} {','.join(key.scopes):32} {ends:16} "
                f"{state:9} {key.name}".rstrip()
            )

    def revoke(self, *, key: int, **_: Any) -> None:
        """End a key at once."""
        found = ServiceKey.objects.filter(pk=key).first()
        if found is None:
            raise CommandError(f"There is no key {key}.")
        was = revoke_service_key(key=found, at=timezone.now())
        self.stdout.write(f"Key {key} is revoked." if was else f"Key {key} was revoked before.")

    def disable(self, *, name: str, **_: Any) -> None:
        """Switch a service off."""
        if not ServiceAccount.objects.filter(name=name).update(is_active=False):
            raise CommandError(f"There is no service account {name!r}.")
        self.stdout.write(f"{name} is switched off; none of its keys works.")
