"""``manage.py table_checksums``: what every table holds, as one line each."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection


class Command(BaseCommand):
    """Prints name, number of rows and a checksum of every table."""

    help = "Print the rows and a checksum of every table, to compare a restored database by."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print."""
        for line in table_checksums():
            self.stdout.write(line)


def table_checksums() -> Iterator[str]:
    """Yield a line for each table; whatever the order of its rows, and in one pass over them."""
    with connection.cursor() as cursor:
        # As text, a moment depends on the session's zone, and a float on its digits.
        cursor.execute("SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 1")
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        )
        for (table,) in cursor.fetchall():
            name = connection.ops.quote_name(table)
            # A sum of hashes of rows does not depend on their order.
            cursor.execute(
                "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) "  # noqa: S608
                f"FROM {name} t"
            )
            n, checksum = cursor.fetchone()
            yield f"{table} {n} {checksum}"
