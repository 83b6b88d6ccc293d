"""``manage.py load_demo``: a catalogue and simulated listeners to try things on."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from recommendations.services.demo import load_demo


class Command(BaseCommand):
    """Loads the demo; safe to run twice."""

    help = "Load the demo's catalogue and simulated listeners. Safe to run twice."

    def handle(self, *args: Any, **options: Any) -> None:
        """Load it."""
        report = load_demo(at=timezone.now())
        self.stdout.write(
            f"{report.tracks:,} tracks; {report.listeners:,} simulated listeners with "
            f"{report.responses:,} responses added."
        )
