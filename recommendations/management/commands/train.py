"""``manage.py train``: train a model now, in this process, showing progress."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.status import Status

from musicrec.exceptions import RuleViolation
from recommendations.models import TrainingRun
from recommendations.services import train as training


class Command(BaseCommand):
    """Trains a model, compares it with the one that serves and promotes it if it is better."""

    help = "Train a model now; it is promoted if it beats the one that serves."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the run and the seed."""
        parser.add_argument("--run", type=int, help="carry out this waiting run")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--trigger", choices=TrainingRun.Trigger.values, default="manual")

    def handle(self, *args: Any, **options: Any) -> None:
        """Train."""
        training.fail_dead_runs()
        try:
            if options["run"] is None:
                run = training.request_training(
                    trigger=options["trigger"], at=timezone.now(), seed=options["seed"]
                )
            else:
                run = TrainingRun.objects.get(pk=options["run"])
            console = Console(stderr=True)
            with console.status("Training: starting TensorFlow") as status:
                version = training.train(run, report=lambda report: self._show(status, report))
        except TrainingRun.DoesNotExist:
            raise CommandError(f"There is no run {options['run']}.") from None
        except RuleViolation as error:
            raise CommandError(str(error)) from error
        if version is None:
            self.stdout.write(f"Run {run.pk} was not waiting; nothing to do.")
            return
        self.stdout.write(
            f"Model {version.pk}: {version.n_parameters:,} parameters, "
            f"{version.n_tracks:,} tracks, {version.n_listeners:,} listeners, "
            f"{version.seconds:.0f} s. {version.verdict}"
        )

    def _show(self, status: Status, report: dict[str, Any]) -> None:
        values = [
            f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}"
            for name, value in report.items()
            if name != "stage" and value is not None
        ]
        text = f"{report['stage']}: {', '.join(values)}"
        if status.console.is_terminal:
            status.update(f"Training: {text}")
        else:
            self.stderr.write(text)
