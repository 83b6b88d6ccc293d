"""``manage.py count_days``: count what listeners did, for the console."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from recommendations.services.rollups import count_days


class Command(BaseCommand):
    """Does at once what a worker does each minute."""

    help = "Count the days that are not settled; with --again all of the last five weeks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add whether to count settled days too."""
        parser.add_argument(
            "--again", action="store_true", help="as after rows with old times came in"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Count."""
        days = count_days(at=timezone.now(), budget_seconds=3600, again=options["again"])
        self.stdout.write(f"{len(days)} days counted.")
