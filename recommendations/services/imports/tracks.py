"""Catalogues from CSV."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from recommendations.core.search_text import normalize
from recommendations.models.catalogue import AUDIO_FEATURES, UNIT_FEATURES, https_only
from recommendations.services.catalogue import add_names, index_tracks, touch_catalogue
from recommendations.services.imports.reading import (
    BadRow,
    Progress,
    Reject,
    Rejects,
    copy_rows,
    create_stage,
    number,
    open_text,
    quiet,
    read_rows,
    text,
    whole,
)

COLUMNS = ("track_id", "name", "artist", "album", "genres", "year", "duration_ms", "popularity")
EXTRAS = ("isrc", "spotify_id", "musicbrainz_id", "cover_url", "preview_url")
"""Columns that stay as they are where a row leaves them empty."""

STAGED = ("line", "track_id", "name", "search_name", *COLUMNS[2:], *AUDIO_FEATURES, *EXTRAS)
"""The columns that a loader fills, in their order."""

# The loaded columns, and how a temporary table holds them.
STAGE = (
    "line integer, track_id text, name text, search_name text, artist text, album text, "
    "genres text[], year smallint, duration_ms integer, popularity smallint, "
    + ", ".join(f"{feature} double precision" for feature in AUDIO_FEATURES)
    + ", isrc text, spotify_id text, musicbrainz_id uuid, cover_url text, preview_url text"
)
_PLAIN = ("name", "album", "year", "duration_ms", "popularity", *AUDIO_FEATURES)


@dataclass(frozen=True)
class ImportReport:
    """What an import did."""

    noun: str
    created: int
    changed: int
    unchanged: int

    def __str__(self) -> str:
        return (
            f"{self.created:,} {self.noun} new, {self.changed:,} changed, "
            f"{self.unchanged:,} unchanged"
        )


@transaction.atomic
def import_tracks(path: Path, *, rejects: Rejects, progress: Progress = quiet) -> ImportReport:
    """Load a catalogue; tracks are known again by `track_id`, the last row of a file counts.

    Args:
        path: CSV or CSV.gz with a header; ``track_id``, ``name`` and ``artist`` are needed.
        rejects: takes the rows that cannot be loaded.
        progress: called with the bytes read so far.

    Raises:
        ImportRefused: nothing was changed, for the reason given.
    """
    with ExitStack() as stack, connection.cursor() as cursor:
        file = open_text(path, stack, progress)
        rows = read_rows(
            file,
            path.name,
            required=("track_id", "name", "artist"),
            known=(*COLUMNS, *AUDIO_FEATURES, *EXTRAS),
            rejects=rejects,
        )
        create_stage(cursor, STAGE)
        copy_rows(cursor, "stage", STAGED, _parsed(rows, rejects))
        return load_staged_tracks(cursor)


def load_staged_tracks(cursor) -> ImportReport:
    """Merge the temporary table ``stage`` into the catalogue; see `import_tracks`."""
    cursor.execute(
        "DELETE FROM stage s USING stage later "
        "WHERE s.track_id = later.track_id AND s.line < later.line"
    )
    for table, names in (
        ("recommendations_artist", "SELECT DISTINCT artist FROM stage"),
        ("recommendations_genre", "SELECT DISTINCT unnest(genres) FROM stage"),
    ):
        cursor.execute(names)
        add_names(cursor, table, [name for (name,) in cursor.fetchall()])
    kept = {name: f"coalesce(nullif(excluded.{name}, ''), t.{name})" for name in EXTRAS}
    kept["musicbrainz_id"] = "coalesce(excluded.musicbrainz_id, t.musicbrainz_id)"
    sources = {name: f"coalesce(s.{name}, '')" for name in EXTRAS}
    sources["musicbrainz_id"] = "s.musicbrainz_id"
    new = {column: f"excluded.{column}" for column in _PLAIN} | kept
    assignments = ", ".join(f"{column} = {value}" for column, value in new.items())
    ours = ", ".join(f"t.{column}" for column in new)
    theirs = ", ".join(new.values())
    cursor.execute(
        f"""
        INSERT INTO recommendations_track AS t
            (track_id, {", ".join(new)}, search_name, artist_id, is_active, created_at,
             updated_at)
        SELECT s.track_id, {", ".join(sources.get(name, f"s.{name}") for name in new)},
               s.search_name, a.id,
               true, %s, %s
        FROM stage s JOIN recommendations_artist a ON a.name = s.artist
        ORDER BY s.line
        ON CONFLICT (track_id) DO UPDATE
            SET {assignments}, search_name = excluded.search_name,
                artist_id = excluded.artist_id, updated_at = excluded.updated_at
            WHERE ({ours}, t.artist_id) IS DISTINCT FROM ({theirs}, excluded.artist_id)
        RETURNING t.id, (xmax = 0)
        """,  # noqa: S608 (column names of ours)
        [timezone.now()] * 2,
    )
    touched = dict(cursor.fetchall())
    cursor.execute("ANALYZE recommendations_track, recommendations_artist, recommendations_genre")
    cursor.execute("DROP TABLE IF EXISTS pg_temp.wanted")
    cursor.execute(
        """
        CREATE TEMPORARY TABLE wanted ON COMMIT DROP AS
        SELECT DISTINCT t.id AS track_id, g.id AS genre_id
        FROM stage s CROSS JOIN unnest(s.genres) AS wanted(name)
        JOIN recommendations_track t ON t.track_id = s.track_id
        JOIN recommendations_genre g ON g.name = wanted.name
        """
    )
    cursor.execute(
        """
        DELETE FROM recommendations_track_genres tg
        USING recommendations_track t, stage s
        WHERE tg.track_id = t.id AND t.track_id = s.track_id
          AND NOT EXISTS (SELECT FROM wanted w
                          WHERE (w.track_id, w.genre_id) = (tg.track_id, tg.genre_id))
        RETURNING tg.track_id
        """
    )
    regenred = {track for (track,) in cursor.fetchall()}
    cursor.execute(
        "INSERT INTO recommendations_track_genres (track_id, genre_id) "
        "SELECT track_id, genre_id FROM wanted ON CONFLICT DO NOTHING RETURNING track_id"
    )
    regenred |= {track for (track,) in cursor.fetchall()}
    cursor.execute("SELECT count(*) FROM stage")
    (total,) = cursor.fetchone()
    created = sum(touched.values())
    changed = len(set(touched) | regenred) - created
    index_tracks([*touched, *(regenred - touched.keys())])
    if created or changed:
        touch_catalogue()
    return ImportReport("tracks", created, changed, total - created - changed)


def _parsed(
    rows: Iterator[tuple[int, dict[str, str]]], rejects: Rejects
) -> Iterator[tuple[object, ...]]:
    """Yield staged rows; what cannot be one goes to `rejects`."""
    for line, cells in rows:
        try:
            name = text(cells, "name", longest=500)
            yield (
                line,
                text(cells, "track_id", longest=128),
                name,
                normalize(name),
                text(cells, "artist", longest=500),
                text(cells, "album", longest=500, needed=False),
                parse_genres(cells.get("genres", "")),
                whole(cells, "year", 1000, 9999),
                whole(cells, "duration_ms", 1, 2**31 - 1),
                whole(cells, "popularity", 0, 100),
                *(number(cells, feature, 0, 1) for feature in UNIT_FEATURES),
                number(cells, "loudness_db", -200, 50),
                number(cells, "tempo_bpm", 0, 1000),
                text(cells, "isrc", longest=12, needed=False) or None,
                text(cells, "spotify_id", longest=22, needed=False) or None,
                _uuid(cells, "musicbrainz_id"),
                _address(cells, "cover_url"),
                _address(cells, "preview_url"),
            )
        except BadRow as error:
            rejects.add(Reject(line, str(error), list(cells.values())))


def _uuid(cells: dict[str, str], column: str) -> str | None:
    value = cells.get(column, "")
    try:
        return str(UUID(value)) if value else None
    except ValueError:
        raise BadRow(f"{column} is no UUID: {value[:50]!r}") from None


def _address(cells: dict[str, str], column: str) -> str | None:
    value = text(cells, column, longest=1000, needed=False)
    try:
        if value:
            https_only(value)
    except ValidationError:
        raise BadRow(f"{column} is no https address: {value[:50]!r}") from None
    return value or None


def parse_genres(cell: str) -> list[str]:
    """Return the genres of a cell, lower case, in order, each once.

    Raises:
        BadRow: one is longer than 100 characters.
    """
    genres = list(dict.fromkeys(name.strip().lower() for name in cell.split(";") if name.strip()))
    for genre in genres:
        if len(genre) > 100:
            raise BadRow(f"genres holds a genre of {len(genre)} characters, 100 are allowed")
    return genres
