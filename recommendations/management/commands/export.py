"""``manage.py export DIR``: everything, as files."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recommendations.services.dump import DumpRefused, dump


class Command(BaseCommand):
    """Writes every table as CSV and every model, of one moment."""

    help = "Write everything to a new folder; `import_dump` restores it. Holds personal data."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the folder."""
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write, and say how much."""
        try:
            rows = dump(options["folder"])
        except DumpRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{sum(rows.values()):,} rows of {len(rows)} tables are written.")
