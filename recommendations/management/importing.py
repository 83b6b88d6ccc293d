"""What the import commands share: arguments, the bar, the report."""

import tempfile
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from recommendations.services.imports.downloading import DownloadRefused, download, is_address
from recommendations.services.imports.reading import ImportRefused, Rejects

MOST_BYTES = 10_000_000_000
MOST_SECONDS = 3600.0


class ImportCommand(BaseCommand):
    """Imports one file, here or at an address; a subclass says how."""

    unit = "bytes"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what every import takes."""
        parser.add_argument("file", help="a file, or the http(s) address of one")
        parser.add_argument(
            "--strict", action="store_true", help="stop at the first bad row and change nothing"
        )
        parser.add_argument(
            "--rejects", type=Path, help="where bad rows go (default: var/rejects/FILE.csv)"
        )

    def load(self, path: Path, rejects: Rejects, progress: Callable[[int], None]) -> list[object]:
        """Import `path` and return reports to print."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, showing progress, and report."""
        if not is_address(options["file"]):
            self._import(Path(options["file"]), options)
            return
        with tempfile.TemporaryDirectory() as folder:
            self.stderr.write(f"Fetching {options['file']}")
            try:
                path = download(
                    options["file"], Path(folder), most_bytes=MOST_BYTES, seconds=MOST_SECONDS
                )
            except DownloadRefused as error:
                raise CommandError(str(error)) from error
            self._import(path, options)

    def _import(self, path: Path, options: dict[str, Any]) -> None:
        if not path.is_file():
            raise CommandError(f"{path} is not a file.")
        rejects_path = options["rejects"] or settings.VAR_DIR / "rejects" / f"{path.name}.csv"
        total = path.stat().st_size if self.unit == "bytes" else None
        speed = TransferSpeedColumn() if self.unit == "bytes" else MofNCompleteColumn()
        columns = [TextColumn("{task.description}"), BarColumn(), speed, TimeElapsedColumn()]
        if total:
            columns.append(TimeRemainingColumn())
        try:
            with (
                Rejects(path.name, rejects_path, strict=options["strict"]) as rejects,
                Progress(*columns, console=Console(stderr=True), transient=True) as bar,
            ):
                task = bar.add_task(f"Importing {path.name}", total=total)
                reports = self.load(path, rejects, lambda done: bar.update(task, completed=done))
        except ImportRefused as error:
            raise CommandError(str(error)) from error
        for reject in rejects.first:
            self.stderr.write(f"{path.name}, line {reject.line}: {reject.reason}")
        if rejects.count:
            self.stderr.write(
                f"{rejects.count:,} bad rows were left out; they are in {rejects_path}"
            )
        for report in reports:
            self.stdout.write(str(report))
