"""Listening from CSV: totals of plays, and ratings."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import ServiceAccount
from recommendations.core.plays import EARLIEST
from recommendations.services.catalogue import touch_catalogue
from recommendations.services.imports.reading import (
    BadRow,
    ImportRefused,
    Progress,
    Reject,
    Rejects,
    copy_rows,
    create_stage,
    open_text,
    quiet,
    read_rows,
    text,
    whole,
)
from recommendations.services.imports.tracks import ImportReport

_STAGE = (
    "line integer, user_id text, track_id text, plays integer, rating smallint, "
    "listened_at timestamptz"
)


@transaction.atomic
def import_listens(
    path: Path,
    *,
    rejects: Rejects,
    progress: Progress = quiet,
    simulated: bool = False,
    service: ServiceAccount | None = None,
) -> ImportReport:
    """Load what listeners played and rated.

    A file has ``user_id``, ``track_id`` and at least one of ``plays`` (a total; rows of one pair
    are added up, and the sum replaces what an earlier import said) and ``rating`` (1 to 5, with
    an optional ``listened_at`` in ISO 8601).

    Args:
        path: CSV or CSV.gz with a header.
        rejects: takes the rows that cannot be loaded.
        progress: called with the bytes read so far.
        simulated: whether listeners that are new here are simulated ones.
        service: whose listeners the `user_id` name; None for listeners of nobody's.

    Raises:
        ImportRefused: nothing was changed, for the reason given.
    """
    with ExitStack() as stack, connection.cursor() as cursor:
        rows = read_rows(
            open_text(path, stack, progress),
            path.name,
            required=("user_id", "track_id"),
            known=("user_id", "track_id", "plays", "rating", "listened_at"),
            rejects=rejects,
        )
        stage_listens(cursor, _parsed(rows, path.name, rejects))
        return load_staged_listens(cursor, rejects, simulated=simulated, service=service)


def stage_listens(cursor, rows: Iterator[tuple[object, ...]]) -> None:
    """Fill the temporary table ``stage`` with (line, user, track, plays, rating, time)."""
    create_stage(cursor, _STAGE)
    columns = ("line", "user_id", "track_id", "plays", "rating", "listened_at")
    copy_rows(cursor, "stage", columns, rows)


def load_staged_listens(
    cursor, rejects: Rejects, *, simulated: bool, service: ServiceAccount | None = None
) -> ImportReport:
    """Merge the temporary table ``stage`` into listening; see `import_listens`."""
    cursor.execute(
        "DELETE FROM stage s WHERE NOT EXISTS "
        "(SELECT FROM recommendations_track t WHERE t.track_id = s.track_id) "
        "RETURNING line, user_id, track_id, plays, rating"
    )
    for line, *cells in sorted(cursor.fetchall()):
        reject = Reject(line, f"the track {cells[1]!r} is not in the catalogue", cells)
        rejects.add(reject)
    now = timezone.now()
    service_id = service.pk if service else None
    cursor.execute(
        """
        INSERT INTO accounts_listener
            (uuid, external_id, country, time_zone, is_simulated, created_at,
             service_id)
        SELECT gen_random_uuid(), user_id, '', '', %s, %s, %s
        FROM (SELECT user_id, min(line) AS line FROM stage GROUP BY user_id) first
        ORDER BY line
        ON CONFLICT (external_id, service_id) WHERE external_id IS NOT NULL DO NOTHING
        """,
        [simulated, now, service_id],
    )
    cursor.execute("ANALYZE accounts_listener, recommendations_track")
    cursor.execute(
        """
        INSERT INTO recommendations_playcount AS p (listener_id, track_id, plays, imported_at)
        SELECT l.id, t.id, least(sum(s.plays), 2147483647), %s
        FROM stage s
        JOIN accounts_listener l ON l.external_id = s.user_id
            AND l.service_id IS NOT DISTINCT FROM %s
        JOIN recommendations_track t ON t.track_id = s.track_id
        WHERE s.plays IS NOT NULL
        GROUP BY l.id, t.id
        ON CONFLICT (listener_id, track_id) DO UPDATE
            SET plays = excluded.plays, imported_at = excluded.imported_at,
                first_imported_at = coalesce(p.first_imported_at, p.imported_at)
            WHERE p.plays <> excluded.plays
        RETURNING p.listener_id, (xmax = 0)
        """,
        [now, service_id],
    )
    counts = cursor.fetchall()
    cursor.execute(
        """
        INSERT INTO recommendations_feedback
            (event_id, listener_id, track_id, kind, rating, preference, strategy, context,
             occurred_at, received_at, imported)
        SELECT DISTINCT ON (event_id, l.id)
            event_id, l.id, t.id, 'rating', s.rating, (s.rating - 1) / 4.0, '', '{}',
            coalesce(s.listened_at, %s), %s, true
        FROM stage s
        JOIN accounts_listener l ON l.external_id = s.user_id
            AND l.service_id IS NOT DISTINCT FROM %s
        JOIN recommendations_track t ON t.track_id = s.track_id
        CROSS JOIN LATERAL (SELECT 'import-' || md5(
            concat_ws('|', s.track_id, s.rating, s.listened_at)) AS event_id) named
        WHERE s.rating IS NOT NULL
        ON CONFLICT (listener_id, event_id) DO NOTHING
        RETURNING listener_id
        """,
        [now, now, service_id],
    )
    ratings = cursor.fetchall()
    cursor.execute("SELECT count(DISTINCT (user_id, track_id)) FROM stage")
    (total,) = cursor.fetchone()
    # What a taste was folded from has changed: it is built again when next asked for.
    changed_listeners = list({row[0] for row in counts} | {row[0] for row in ratings})
    cursor.execute(
        "DELETE FROM recommendations_taste WHERE listener_id = ANY(%s)", [changed_listeners]
    )
    if counts:
        touch_catalogue()  # how well known each track is has changed
    created = sum(is_new for _, is_new in counts) + len(ratings)
    changed = sum(not is_new for _, is_new in counts)
    return ImportReport("listens", created, changed, max(0, total - created - changed))


def _parsed(
    rows: Iterator[tuple[int, dict[str, str]]], source: str, rejects: Rejects
) -> Iterator[tuple[object, ...]]:
    """Yield staged rows; what cannot be one goes to `rejects`."""
    now = timezone.now()
    for line, cells in rows:
        if "plays" not in cells and "rating" not in cells:
            raise ImportRefused(f"{source}, line 1: neither 'plays' nor 'rating' is a column.")
        try:
            plays = whole(cells, "plays", 1, 2**31 - 1)
            rating = whole(cells, "rating", 1, 5)
            if plays is None and rating is None:
                raise BadRow("plays and rating are both empty")
            yield (
                line,
                text(cells, "user_id", longest=128),
                text(cells, "track_id", longest=128),
                plays,
                rating,
                _time(cells.get("listened_at", ""), now),
            )
        except BadRow as error:
            rejects.add(Reject(line, str(error), list(cells.values())))


def _time(cell: str, now: datetime) -> str | None:
    if not cell:
        return None
    try:
        moment = datetime.fromisoformat(cell)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRow(f"listened_at is no ISO 8601 time: {cell[:50]!r}") from None
    if moment > now:
        raise BadRow(f"listened_at lies in the future: {cell[:50]}")
    if moment < EARLIEST:
        raise BadRow(f"listened_at lies before {EARLIEST.year}: {cell[:50]}")
    return moment.isoformat()
