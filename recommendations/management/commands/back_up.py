"""``manage.py back_up FOLDER``: the database's part of ``deploy/backup.sh``."""

import subprocess
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from recommendations.management.commands.table_checksums import table_checksums


class Command(BaseCommand):
    """Dumps the database and writes the checksums of its tables, both of one moment."""

    help = "Dump the database, with the checksums that a restored one must come to."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the folder and the program."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--pg-dump", default="pg_dump")

    def handle(self, *args: Any, folder: Path, pg_dump: str, **options: Any) -> None:
        """Dump."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            (snapshot,) = cursor.fetchone()
            command = [
                *(pg_dump, "--format", "custom", "--snapshot", snapshot),
                *("--file", str(folder / "musicrec.dump"), settings.DATABASE_URL),
            ]
            done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
            if done.returncode:
                raise CommandError(f"{pg_dump} failed: {done.stderr.strip()}")
            lines = "".join(f"{line}\n" for line in table_checksums())
        (folder / "checksums.txt").write_text(lines)
