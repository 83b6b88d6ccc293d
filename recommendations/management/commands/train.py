"""``manage.py train``: train a model now, in this process, showing progress."""

import contextlib
import socket
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.status import Status

from musicrec.exceptions import RuleViolation
from recommendations.models import TrainingRun
from recommendations.services import peers
from recommendations.services import train as training


class Command(BaseCommand):
    """Trains a model, compares it with the one that serves and promotes it if it is better."""

    help = "Train a model now; it is promoted if it beats the one that serves."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the run and the seed."""
        parser.add_argument("--run", type=int, help="carry out this waiting run")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--distributed", type=int, metavar="N", help="train in N processes on this machine"
        )
        parser.add_argument("--workers", default="", help="host:port of all that train together")
        parser.add_argument("--help-as", type=int, metavar="INDEX", help="help with --run")
        parser.add_argument("--trigger", choices=TrainingRun.Trigger.values, default="manual")

    def handle(self, *args: Any, **options: Any) -> None:
        """Train."""
        workers = [address for address in options["workers"].split(",") if address]
        if options["help_as"] is not None:
            try:
                peers.help_train(options["run"], workers=workers, index=options["help_as"])
            except peers.NoSnapshot as error:
                raise CommandError(str(error)) from error
            return
        training.fail_dead_runs()
        try:
            if options["run"] is None:
                run = training.request_training(
                    trigger=options["trigger"], at=timezone.now(), seed=options["seed"]
                )
            else:
                run = TrainingRun.objects.get(pk=options["run"])
            console = Console(stderr=True)
            workers = workers or _free_addresses(options["distributed"] or 0)
            with (
                _helpers(run, workers if options["distributed"] else []),
                console.status("Training: starting TensorFlow") as status,
            ):
                version = training.train(
                    run, report=lambda report: self._show(status, report), workers=workers
                )
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


def _free_addresses(n: int) -> list[str]:
    """Return addresses on this machine that nobody listens on."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(n)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes]


@contextlib.contextmanager
def _helpers(run: TrainingRun, workers: list[str]) -> Iterator[None]:
    """Run the other workers as processes of their own, and leave none behind."""
    command = [sys.executable, settings.BASE_DIR / "manage.py", "train", "--run", str(run.pk)]
    command += ["--workers", ",".join(workers)]
    helpers = [
        subprocess.Popen([*command, "--help-as", str(index)])  # noqa: S603 (our own command)
        for index in range(1, len(workers))
    ]
    try:
        yield
    finally:
        for helper in helpers:
            helper.terminate()
            helper.wait()
