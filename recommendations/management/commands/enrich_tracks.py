"""``manage.py enrich_tracks``: ids, covers, years and genres from Spotify or MusicBrainz."""

from argparse import ArgumentParser
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from recommendations.services.enrichment import applying


class Command(BaseCommand):
    """Looks up the tracks that were not looked up yet; stop it when you like, it goes on there."""

    help = (
        "Fill in ids, covers, years and genres. Never overwrites what a track has or an editor "
        "typed. Interrupt it when you like: the next run goes on from there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add whom to ask, and how many."""
        parser.add_argument("--provider", required=True, choices=sorted(applying.NEEDED))
        parser.add_argument("--limit", type=int, help="tracks of this run, at most")
        parser.add_argument("--again", action="store_true", help="also those looked up before")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look up, showing progress, and report."""
        name = options["provider"]
        if missing := applying.missing_settings(name):
            raise CommandError(f"Set {' and '.join(missing)} in the environment to ask {name}.")
        tracks = applying.to_look_up(name, again=options["again"])
        total = tracks.count()
        if options["limit"] is not None:
            total = min(total, max(options["limit"], 0))
        keys = islice(tracks.values_list("pk", flat=True).iterator(chunk_size=1000), total)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(f"Asking {name}", total=total)
            done = applying.enrich(
                applying.provider_of(name),
                keys,
                report=lambda so_far: bar.update(task, completed=so_far.found + so_far.not_found),
            )
        self.stdout.write(str(done))
        if done.stopped:
            raise CommandError("Run it again later; it goes on from here.")
