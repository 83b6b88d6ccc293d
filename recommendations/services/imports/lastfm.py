"""The HetRec 2011 Last.fm archive, as GroupLens publishes it.

Items are artists: each becomes a track of that name.  Tags that at least two people gave an
artist become its genres, the most frequent first.

Cantador, Brusilovsky and Kuflik, "2nd Workshop on Information Heterogeneity and Fusion in
Recommender Systems (HetRec 2011)", RecSys 2011.  Non-commercial use.
"""

import csv
import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from django.db import connection, transaction

from recommendations.core.search_text import normalize
from recommendations.models.catalogue import AUDIO_FEATURES
from recommendations.services.imports.listens import load_staged_listens, stage_listens
from recommendations.services.imports.reading import (
    BadRow,
    ImportRefused,
    Progress,
    Reject,
    Rejects,
    copy_rows,
    create_stage,
    quiet,
    read_rows,
    text,
    whole,
)
from recommendations.services.imports.tracks import (
    EXTRAS,
    STAGE,
    STAGED,
    ImportReport,
    load_staged_tracks,
    parse_genres,
)

MAX_TAGS = 5
MIN_TAGGERS = 2


def import_lastfm(
    path: Path, *, rejects: Rejects, progress: Progress = quiet
) -> tuple[ImportReport, ImportReport]:
    """Load artists and play counts from the archive; listeners become ``lastfm-ID``.

    Args:
        path: the zip archive.
        rejects: takes the rows that cannot be loaded; lines are those of the file they name.
        progress: called with the rows read so far.

    Returns:
        What was done to the catalogue, and to listening.

    Raises:
        ImportRefused: nothing was changed, for the reason given.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise ImportRefused(f"{path} is no archive that can be read: {error}.") from error
    with archive, transaction.atomic():
        source = _Archive(archive, rejects, progress)
        with connection.cursor() as cursor:
            genres = source.genres()
            create_stage(cursor, STAGE)
            copy_rows(cursor, "stage", STAGED, source.artists(genres))
            tracks = load_staged_tracks(cursor)
            stage_listens(cursor, source.listens())
            return tracks, load_staged_listens(cursor, rejects, simulated=False)


class _Archive:
    """The tab-separated members of the archive, row by row."""

    def __init__(self, archive: zipfile.ZipFile, rejects: Rejects, progress: Progress) -> None:
        self._archive = archive
        self._rejects = rejects
        self._progress = progress
        self._rows_read = 0

    def genres(self) -> dict[int, list[str]]:
        """Return the tags of each artist id that count as genres."""
        names: dict[int, str] = {}
        for line, cells in self._rows("tags.dat", ("tagID", "tagValue"), encoding="latin-1"):
            with self._rejecting("tags.dat", line, cells):
                tag = _required(cells, "tagID")
                names[tag] = text(cells, "tagValue", longest=100).lower()
        taggers: dict[int, Counter[str]] = defaultdict(Counter)
        for line, cells in self._rows("user_taggedartists.dat", ("artistID", "tagID")):
            with self._rejecting("user_taggedartists.dat", line, cells):
                tag = _required(cells, "tagID")
                if tag not in names:
                    raise BadRow(f"tagID {tag} is not in tags.dat")
                taggers[_required(cells, "artistID")][names[tag]] += 1
        return {
            artist: [tag for tag, n in counts.most_common(MAX_TAGS) if n >= MIN_TAGGERS]
            for artist, counts in taggers.items()
        }

    def artists(self, genres: dict[int, list[str]]) -> Iterator[tuple[object, ...]]:
        """Yield each artist as a staged track."""
        nothing = (None,) * (3 + len(AUDIO_FEATURES) + len(EXTRAS))
        for line, cells in self._rows("artists.dat", ("id", "name")):
            with self._rejecting("artists.dat", line, cells):
                artist = _required(cells, "id")
                name = text(cells, "name", longest=500)
                tags = parse_genres(";".join(genres.get(artist, [])))
                yield (
                    line,
                    f"lastfm-artist-{artist}",
                    name,
                    normalize(name),
                    name,
                    "",
                    tags,
                    *nothing,
                )

    def listens(self) -> Iterator[tuple[object, ...]]:
        """Yield each play count as a staged listen."""
        columns = ("userID", "artistID", "weight")
        for line, cells in self._rows("user_artists.dat", columns):
            with self._rejecting("user_artists.dat", line, cells):
                listener = f"lastfm-{_required(cells, 'userID')}"
                track = f"lastfm-artist-{_required(cells, 'artistID')}"
                yield line, listener, track, _required(cells, "weight"), None, None

    def _rows(
        self, member: str, columns: tuple[str, ...], encoding: str = "utf-8"
    ) -> Iterator[tuple[int, dict[str, str]]]:
        try:
            raw = self._archive.open(member)
        except KeyError:
            raise ImportRefused(f"The archive has no {member}; is it the HetRec one?") from None
        with raw, io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline="") as file:
            rows = read_rows(
                file,
                member,
                required=columns,
                known=columns,
                rejects=self._rejects,
                delimiter="\t",
                quoting=csv.QUOTE_NONE,
            )
            for row in rows:
                self._rows_read += 1
                self._progress(self._rows_read)
                yield row

    def _rejecting(self, member: str, line: int, cells: dict[str, str]) -> "_RejectBadRow":
        return _RejectBadRow(self._rejects, member, line, cells)


class _RejectBadRow:
    """A context in which a `BadRow` sends the row to the rejects and goes on."""

    def __init__(self, rejects: Rejects, member: str, line: int, cells: dict[str, str]) -> None:
        self._rejects, self._member, self._line, self._cells = rejects, member, line, cells

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, BadRow):
            return False
        reason = f"{self._member}: {error}"
        self._rejects.add(Reject(self._line, reason, list(self._cells.values())))
        return True


def _required(cells: dict[str, str], column: str) -> int:
    value = whole(cells, column, 1, 2**31 - 1)
    if value is None:
        raise BadRow(f"{column} is empty")
    return value
