"""``manage.py cross_validate``: rating errors and ranking over folds; needs no database."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Trains once per fold and prints mean and standard deviation of MAE, RMSE and NDCG@10."""

    help = "Cross-validate on a CSV file with user_id,track_id and rating or plays."
    requires_system_checks: list[str] = []  # they would connect to the database

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the file and the folds."""
        parser.add_argument("--data", type=Path, required=True, metavar="FILE")
        parser.add_argument("--folds", type=int, default=5)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Validate and print."""
        # TensorFlow takes seconds to import, which --help should not.
        from recommendations.training.cross_validation import cross_validate
        from recommendations.training.evaluation import read_interactions

        def report(fold: int, metrics: dict[str, float]) -> None:
            values = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            self.stderr.write(f"fold {fold} of {options['folds']}: {values}")

        try:
            summary = cross_validate(
                read_interactions(options["data"]),
                n_folds=options["folds"],
                seed=options["seed"],
                on_fold=report,
            )
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(summary))
            return
        for name, values in summary.items():
            self.stdout.write(f"{name:8} {values['mean']:.4f} +- {values['std']:.4f}")
