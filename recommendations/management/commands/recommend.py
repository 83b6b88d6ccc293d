"""``manage.py recommend LISTENER``: what a listener would be shown now."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.table import Table

from accounts.models import Listener
from accounts.vocabulary import Mood
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
from recommendations.serving.strategies import STRATEGIES


class Command(BaseCommand):
    """Prints a list with scores and reasons; leaves no trace in the ledger."""

    help = "Print what a listener would be shown now, with reasons."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the listener and the wishes."""
        parser.add_argument("listener", help="external id or UUID")
        parser.add_argument("-n", type=int, default=10)
        parser.add_argument("--strategy", choices=sorted(STRATEGIES))
        parser.add_argument("--mood", choices=Mood.values)
        parser.add_argument("--genre", action="append", default=[])

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the list."""
        if not 1 <= options["n"] <= 100:
            raise CommandError(f"-n must lie between 1 and 100, got {options['n']}.")
        listener = (
            Listener.objects.known_as(options["listener"]).select_related("preferences").first()
        )
        if listener is None:
            raise CommandError(f"There is no listener {options['listener']!r}.")
        wishes = Wishes(
            n=options["n"],
            mood=Mood(options["mood"]) if options["mood"] else None,
            genres=tuple(options["genre"]),
        )
        answer = recommend(
            listener=listener,
            wishes=wishes,
            at=timezone.now(),
            strategy=options["strategy"],
            record=False,
        )
        row = answer.recommendation
        table = Table(title=f"{listener.key}: {row.strategy}, model {row.model_version_id}")
        for heading in ("", "track", "artist", "score", "stars", "sure", "why"):
            table.add_column(heading)
        for rank, item in enumerate(answer.items, start=1):
            table.add_row(
                str(rank),
                item.track_name,
                item.artist,
                f"{item.score:.3f}",
                "" if item.prediction_score is None else f"{item.prediction_score:.1f}",
                "" if item.confidence is None else f"{item.confidence:.0%}",
                item.explanation,
            )
        width = None if self.stdout.isatty() else 160
        Console(file=self.stdout, width=width).print(table)
        if row.fallback:
            self.stdout.write(f"Fallback: {row.fallback}")
