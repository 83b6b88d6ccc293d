"""``manage.py simulate``: simulated listeners use the system, and the truth is known."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from musicrec.exceptions import RuleViolation
from recommendations.simulation import MAX_DAYS, SCENARIOS, new_listeners, simulate


class Command(BaseCommand):
    """Runs the closed loop on simulated listeners, labelled so."""

    help = "Let simulated listeners use the system for some days that end now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the size, the scenario and the seed."""
        parser.add_argument("--listeners", type=int, default=100)
        parser.add_argument("--days", type=int, default=14)
        parser.add_argument(
            "--scenario", choices=SCENARIOS, help="left out: the system as it stands"
        )
        parser.add_argument("--seed", type=int, default=0)

    def handle(self, *args: Any, **options: Any) -> None:
        """Simulate, showing progress."""
        if options["listeners"] < 1:
            raise CommandError(f"--listeners must be at least 1, got {options['listeners']}.")
        if not 1 <= options["days"] <= MAX_DAYS:
            raise CommandError(f"--days must be from 1 to {MAX_DAYS}, got {options['days']}.")
        now = timezone.now()
        people = new_listeners(
            options["listeners"],
            seed=options["seed"],
            at=now - timedelta(days=options["days"]),
        )
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(f"Simulating {options['days']} days", total=1.0)
            try:
                report = simulate(
                    people,
                    days=options["days"],
                    ends_at=now,
                    scenario=options["scenario"],
                    seed=options["seed"],
                    progress=lambda share: bar.update(task, completed=share),
                )
            except RuleViolation as error:
                raise CommandError(str(error)) from error
        self.stdout.write(
            f"{report.sessions:,} sessions, {report.slates:,} lists, {report.responses:,} responses"
        )
        for strategy, (mean, n) in report.preference_by_strategy.items():
            self.stdout.write(f"  {strategy:<16} mean preference {mean:.3f} over {n:,} responses")
        self.stdout.write("What was to be expected of the lists, by the simulated tastes:")
        for name, truth in report.truth.items():
            self.stdout.write(f"  {name:<24} {truth:.3f}")
        if report.share_of_best:
            shares = ", ".join(f"{share:.0%}" for share in report.share_of_best)
            self.stdout.write(f"The new best arm's share, by hundred lists: {shares}")
        if report.verdict:
            self.stdout.write(f"Verdict on {report.experiment}: {report.verdict}")
