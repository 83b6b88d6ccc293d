"""``manage.py import_listens FILE``: plays and ratings from CSV or CSV.gz."""

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from accounts.models import ServiceAccount
from recommendations.management.importing import ImportCommand
from recommendations.services.imports.listens import import_listens
from recommendations.services.imports.reading import Rejects


class Command(ImportCommand):
    """Loads plays and ratings from CSV or CSV.gz."""

    help = "Load plays and ratings from CSV or CSV.gz. Safe to run twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add whose listeners they are."""
        super().add_arguments(parser)
        parser.add_argument(
            "--service", help="name of the service account whose listeners the file names"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Find the service, then import."""
        self.service = None
        if options["service"]:
            self.service = ServiceAccount.objects.filter(name=options["service"]).first()
            if self.service is None:
                raise CommandError(f"There is no service account {options['service']!r}.")
        super().handle(*args, **options)

    def load(self, path: Path, rejects: Rejects, progress: Callable[[int], None]) -> list[object]:
        """Import `path`."""
        return [import_listens(path, rejects=rejects, progress=progress, service=self.service)]
