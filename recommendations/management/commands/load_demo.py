"""``manage.py load_demo``: a catalogue and simulated listeners to try things on."""

from functools import partial
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from rich.console import Console
from rich.progress import track

from recommendations.services.demo import load_demo


class Command(BaseCommand):
    """Loads the demo; safe to run twice."""

    help = "Load the demo's catalogue and simulated listeners. Safe to run twice."

    def handle(self, *args: Any, **options: Any) -> None:
        """Load it."""
        bar = partial(
            track,
            description="Listening for half a year",
            console=Console(stderr=True),
            transient=True,
        )
        report = load_demo(at=timezone.now(), watch=bar)
        self.stdout.write(
            f"{report.tracks:,} tracks; {report.listeners:,} simulated listeners with "
            f"{report.responses:,} responses added."
        )
