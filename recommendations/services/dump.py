"""Everything in files that people can read, and back: tables as CSV, models as they are."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from musicrec.exceptions import RuleViolation
from recommendations.models import ModelVersion
from recommendations.serving.storage import UnavailableArtefact, artefact_store

MANIFEST = "manifest.json"
FORMAT = 1

# Made by migrations, or of no use beyond this installation's present sessions.
_LEFT_OUT = frozenset({"django_migrations", "django_session", "usersessions_usersession"})


class DumpRefused(RuleViolation):
    """The dump was not written, or not restored; nothing was changed."""

    code = "dump_refused"


def dump(folder: Path) -> dict[str, int]:
    """Write every table and every model below `folder`; return the rows of each table.

    The tables are of one moment.  The files hold personal data and hashes of secrets: the folder
    is made readable by its owner alone.

    Raises:
        DumpRefused: the folder exists and is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise DumpRefused(f"{folder} is not empty.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    rows, sums = {}, {}
    with transaction.atomic(), connection.cursor() as cursor:
        if not connection.savepoint_ids:  # one moment for all tables; inside another, it says
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for table, columns in _tables(cursor):
            path = folder / f"{table}.csv.gz"
            with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
                cursor.copy_expert(
                    f"COPY {_name(table)} ({columns}) TO STDOUT WITH (FORMAT csv, HEADER)", file
                )
                rows[table] = cursor.rowcount
            sums[table] = _sha256(path)
        manifest = {
            "format": FORMAT,
            "migrations": _migrations(cursor),
            "tables": {table: {"rows": rows[table], "sha256": sums[table]} for table in rows},
            "models": [],
        }
        versions = list(ModelVersion.objects.values_list("folder", "manifest_sha256"))
    store = artefact_store()
    for name, sha256 in versions:
        try:
            shutil.copytree(store.fetch(name, sha256), folder / "models" / name)
        except (UnavailableArtefact, OSError):
            continue  # a version whose arrays are gone stays in the registry, and cannot serve
        manifest["models"].append(name)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))
    return rows


def restore(folder: Path) -> dict[str, int]:
    """Replace everything in an empty database by what `dump` wrote; return the rows per table.

    Sessions are not restored, nor the tokens that were given to one: an app signs in again.

    Raises:
        DumpRefused: the dump is not whole, is of another release, or somebody is here already.
    """
    manifest = _manifest(folder)
    with transaction.atomic(), connection.cursor() as cursor:
        if manifest["migrations"] != _migrations(cursor):
            raise DumpRefused("The dump is of another release: other migrations than here.")
        cursor.execute(
            "SELECT EXISTS (SELECT FROM accounts_listener) OR EXISTS (SELECT FROM accounts_user) "
            "OR EXISTS (SELECT FROM recommendations_track)"
        )
        if cursor.fetchone()[0]:
            raise DumpRefused("This database is not empty; a dump is restored into a new one.")
        tables = dict(_tables(cursor))
        unknown = manifest["tables"].keys() - tables.keys()
        if unknown:
            raise DumpRefused(f"There is no table {sorted(unknown)[0]}.")
        cursor.execute("SET LOCAL session_replication_role = replica")  # in any order
        for table, told in manifest["tables"].items():
            path = folder / f"{table}.csv.gz"
            if not path.is_file() or _sha256(path) != told["sha256"]:
                raise DumpRefused(f"{path} is missing or damaged.")
            cursor.execute(f"DELETE FROM {_name(table)}")  # noqa: S608 (a table of ours)
            with gzip.open(path, "rb") as file:
                columns = file.readline().decode().strip()
                file.seek(0)
                if {name.strip('"') for name in columns.split(",")} != {
                    name.strip('" ') for name in tables[table].split(",")
                }:
                    raise DumpRefused(f"{path} has other columns than the table.")
                cursor.copy_expert(
                    f"COPY {_name(table)} ({_quoted(columns)}) FROM STDIN "
                    "WITH (FORMAT csv, HEADER)",
                    file,
                )
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
        # Their sessions are left out, and their numbers would soon be those of other people's.
        cursor.execute("DELETE FROM accounts_apitoken WHERE user_session_id IS NOT NULL")
        rows = {table: told["rows"] for table, told in manifest["tables"].items()}
        rows["accounts_apitoken"] -= cursor.rowcount
        _advance_sequences(cursor)
        for name in manifest["models"]:
            place = Path(settings.MODELS_DIR) / name
            if not place.exists():
                shutil.copytree(folder / "models" / name, place)
            artefact_store().publish(place)
    return rows


def _manifest(folder: Path) -> dict:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise DumpRefused(f"{folder} holds no dump: {error}") from error
    if manifest.get("format") != FORMAT:
        raise DumpRefused(f"The dump has format {manifest.get('format')}, not {FORMAT}.")
    return manifest


def _tables(cursor) -> Iterator[tuple[str, str]]:
    """Yield each table with its columns, quoted; what the database computes itself is left out."""
    cursor.execute(
        """
        SELECT c.table_name,
               string_agg(quote_ident(c.column_name), ', ' ORDER BY c.ordinal_position)
        FROM information_schema.columns c
        JOIN information_schema.tables t USING (table_schema, table_name)
        WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
          AND c.is_generated = 'NEVER'
        GROUP BY c.table_name ORDER BY c.table_name
        """
    )
    yield from [(name, columns) for name, columns in cursor.fetchall() if name not in _LEFT_OUT]


def _migrations(cursor) -> list[str]:
    cursor.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1")
    return [name for (name,) in cursor.fetchall()]


def _advance_sequences(cursor) -> None:
    """Let every counter go on after the largest key."""
    cursor.execute(
        """
        SELECT c.table_name, c.column_name,
               pg_get_serial_sequence(quote_ident(c.table_name), c.column_name)
        FROM information_schema.columns c
        WHERE c.table_schema = 'public'
          AND pg_get_serial_sequence(quote_ident(c.table_name), c.column_name) IS NOT NULL
        """
    )
    for table, column, sequence in cursor.fetchall():
        cursor.execute(
            f"SELECT setval(%s, coalesce((SELECT max({_name(column)}) FROM {_name(table)}), 1), "  # noqa: S608
            f"EXISTS (SELECT FROM {_name(table)}))",
            [sequence],
        )


def _name(name: str) -> str:
    return connection.ops.quote_name(name)


def _quoted(columns: str) -> str:
    return ", ".join(_name(name.strip('" ')) for name in columns.split(","))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
