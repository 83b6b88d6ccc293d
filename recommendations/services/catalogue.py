"""Acts on the catalogue."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F

from accounts.models import User
from recommendations.core.search_text import normalize
from recommendations.models import Artist, ServingState, Track
from recommendations.services import audit


def touch_catalogue() -> None:
    """Tell every web process that tracks, artists or genres changed; they reload within 2 s."""
    with transaction.atomic():
        ServingState.objects.get_or_create(pk=1)
        ServingState.objects.filter(pk=1).update(catalogue_version=F("catalogue_version") + 1)


# The parts are normalized already, so that their words are all there is to take.
_INDEX_TRACKS = """
UPDATE recommendations_track t
SET search = array_to_tsvector(array_remove(string_to_array(concat_ws(
        ' ', t.search_name, a.search_name, (
            SELECT string_agg(g.search_name, ' ')
            FROM recommendations_track_genres tg JOIN recommendations_genre g ON g.id = tg.genre_id
            WHERE tg.track_id = t.id
        )), ' '), ''))
FROM recommendations_artist a
WHERE a.id = t.artist_id AND t.id = ANY(%s)
"""
_RAISE_ARTISTS = """
UPDATE recommendations_artist a
SET standing = best.standing
FROM (
    SELECT artist_id, max(standing) AS standing FROM recommendations_track
    WHERE artist_id IN (SELECT artist_id FROM recommendations_track WHERE id = ANY(%s))
    GROUP BY artist_id
) best
WHERE a.id = best.artist_id AND a.standing <> best.standing
"""


def index_tracks(pks: Sequence[int]) -> None:
    """Make tracks findable by their title, artist and genres, as these stand now.

    To be called in the transaction that wrote any of these.
    """
    keys = list(pks)
    with connection.cursor() as cursor:
        cursor.execute(_INDEX_TRACKS, [keys])
        cursor.execute(_RAISE_ARTISTS, [keys])


def add_names(cursor, table: str, names: Sequence[str]) -> None:
    """Add artists or genres that are not there yet, with their normalized names.

    Args:
        cursor: a Django cursor.
        table: one of the two tables, never user input.
        names: as the catalogue spells them.
    """
    cursor.execute(
        f"INSERT INTO {table} (name, search_name) "  # noqa: S608 (a table of ours)
        "SELECT * FROM unnest(%s::text[], %s::text[]) ON CONFLICT DO NOTHING",
        [list(names), [normalize(name) for name in names]],
    )


@transaction.atomic
def set_visibility(
    subject: Track | Artist, *, is_active: bool, by: User, at: datetime, reason: str = ""
) -> None:
    """Take a track, or all of an artist's, off every list at once, or let them be shown again.

    Web processes follow within 2 s.
    """
    if subject.is_active == is_active:
        return
    before, subject.is_active = subject.is_active, is_active
    fields = ["is_active", "updated_at"] if isinstance(subject, Track) else ["is_active"]
    subject.save(update_fields=fields)
    touch_catalogue()
    audit.note(
        by=by,
        act="shown again" if is_active else "hidden",
        subject=subject,
        at=at,
        words=reason,
        details={"is_active": [before, is_active]},
    )
