"""``manage.py import_dump DIR``: restores what `export` wrote into an empty database."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recommendations.services.dump import DumpRefused, restore


class Command(BaseCommand):
    """Restores every table and every model; all or nothing."""

    help = "Restore what `export` wrote, into an empty database of the same release."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the folder."""
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore, and say how much."""
        try:
            rows = restore(options["folder"])
        except DumpRefused as error:
            raise CommandError(f"{error} Nothing was changed.") from error
        self.stdout.write(f"{sum(rows.values()):,} rows of {len(rows)} tables are restored.")
