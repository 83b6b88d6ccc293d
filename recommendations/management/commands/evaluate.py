"""``manage.py evaluate``: measure strategies on a split; needs no database."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from accounts.vocabulary import Mood


class Command(BaseCommand):
    """Trains on one file and ranks the tracks of another, popularity beside."""

    help = "Measure strategies on a split given as CSV files with user_id,track_id."
    requires_system_checks: list[str] = []  # they would connect to the database

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the files and what is measured."""
        parser.add_argument("--train", type=Path, metavar="FILE")
        parser.add_argument("--test", type=Path, metavar="FILE")
        parser.add_argument(
            "--candidates", type=Path, metavar="FILE", help="rank each test track against these"
        )
        parser.add_argument(
            "--exclude", type=Path, metavar="FILE", help="leave these out beside the training items"
        )
        parser.add_argument("--strategy", action="append", metavar="NAME", dest="strategies")
        parser.add_argument("--k", action="append", type=int, metavar="N", dest="ks")
        parser.add_argument(
            "--cold-start",
            action="store_true",
            help="hold listeners out of training, and give 0 to 10 of their tracks",
        )
        parser.add_argument(
            "--tracks",
            type=Path,
            metavar="FILE",
            help="with --cold-start: genres and audio features; tracks are held out as well",
        )
        parser.add_argument(
            "--demo",
            action="store_true",
            help="the error of expected ratings on the simulated demo, beside its noise floor",
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Measure and print."""
        # TensorFlow takes seconds to import, which --help should not.
        from recommendations.training import evaluation

        self.console = Console(stderr=True)
        ks = options["ks"] or [10, 20]
        if min(ks) < 1:
            raise CommandError(f"--k must be at least 1, got {min(ks)}")
        strategies = options["strategies"] or ["neural_cf", "hybrid_ensemble"]
        try:
            if options["demo"]:
                results = {"demo": self.measure_demo(options["seed"])}
            elif options["train"] is None:
                raise CommandError("--train FILE is needed, unless --demo is given")
            elif options["cold_start"]:
                results = self.measure_cold_start(
                    options["train"], options["tracks"], options["seed"]
                )
            elif options["test"] is None:
                raise CommandError("--test FILE is needed, unless --cold-start is given")
            else:
                split = evaluation.read_split(
                    options["train"],
                    options["test"],
                    exclude=options["exclude"],
                    candidates=options["candidates"],
                )
                results = evaluation.evaluate(
                    split, strategies, ks=ks, seed=options["seed"], progress=self.report
                )
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(results))
        else:
            self.show(results)

    def measure_cold_start(
        self, train: Path, tracks: Path | None, seed: int
    ) -> dict[str, dict[str, float]]:
        """Measure listeners and, where content is known, tracks that training never saw."""
        from recommendations.training import catalogue_file, cold_start

        pairs, content = catalogue_file.read_listening(train, tracks)
        results = cold_start.measure_cold_start(
            pairs, seed=seed, content=content, progress=self.report
        )
        if tracks is None:
            return results
        found = cold_start.measure_cold_tracks(pairs, content, seed=seed, progress=self.report)
        return results | {f"track held out, {name}": values for name, values in found.items()}

    def measure_demo(self, seed: int) -> dict[str, float]:
        """Measure expected ratings on the world that the demo's listeners come from."""
        from recommendations.services import demo
        from recommendations.training.demo_scores import measure_demo

        return measure_demo(
            demo.CATALOGUE,
            {mood.value: (mood.valence, mood.arousal) for mood in Mood},
            n_listeners=demo.N_LISTENERS,
            days=demo.DAYS,
            met=demo.MET,
            seed=seed,
            world_seed=demo.SEED,
            progress=self.report,
        )

    def report(self, report: dict[str, Any]) -> None:
        """Show one report of progress on the terminal."""
        values = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in report.items()
            if name != "stage"
        )
        self.console.print(f"[dim]{report['stage']}: {values}[/dim]", highlight=False)

    def show(self, results: dict[str, dict[str, float]]) -> None:
        """Print a table, a row per metric and a column per strategy."""
        table = Table("metric", *results)
        for metric in dict.fromkeys(name for values in results.values() for name in values):
            cells = [f"{v[metric]:.4g}" if metric in v else "" for v in results.values()]
            table.add_row(metric, *cells)
        Console(file=self.stdout, width=max(80, 22 * (1 + len(results)))).print(table)
