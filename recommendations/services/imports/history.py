"""Taking in a listening history: each play once, however often and from wherever it is sent."""

from __future__ import annotations

import logging
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Listener
from musicrec.exceptions import RuleViolation
from recommendations.core.matching import artist_keys, title_key
from recommendations.core.plays import NotAPlay, Play, read_play, source_of
from recommendations.core.preference import preference_of
from recommendations.models import Artist, Feedback, HistoryImport, Track
from recommendations.services import taste as tastes
from recommendations.services.imports.history_files import MAX_UPLOAD, Unreadable, read_rows
from recommendations.serving import state

logger = logging.getLogger(__name__)

BATCH = 2000
SAME_PLAY = 60.0
"""Seconds within which two plays of a track are one, told by two sources or to the minute."""

MAX_OPEN = 3
"""Imports of one listener that may wait or be at work."""

MAX_MISSING = 500


class TooManyImports(RuleViolation):
    """The listener has imports that are not done yet."""

    code = "too_many_imports"


class FileTooLarge(RuleViolation):
    """The file has more bytes than are taken."""

    code = "file_too_large"


@transaction.atomic
def request_import(
    *, listener: Listener, content: bytes, file_name: str, source: str, at: datetime
) -> HistoryImport:
    """Keep an uploaded file to be taken in by a worker.

    Raises:
        FileTooLarge: it has more than `MAX_UPLOAD` bytes.
        TooManyImports: `MAX_OPEN` of the listener's are not done yet.
    """
    if len(content) > MAX_UPLOAD:
        raise FileTooLarge(f"The file has {len(content)} bytes; {MAX_UPLOAD} are allowed.")
    Listener.objects.select_for_update().get(pk=listener.pk)
    if HistoryImport.objects.by(listener).open().count() >= MAX_OPEN:
        raise TooManyImports("Wait until the imports before this one are done.")
    return HistoryImport.objects.create(
        listener=listener, content=content, file_name=file_name[:200], source=source, created_at=at
    )


def run_import(pk: int) -> None:
    """Take a file in, from where it was left.

    A second delivery finds the import at work, or its position moved on, and ends.  Whatever dies
    when, a play counts once: rows, counts and position are written together, and a play that is
    there already is known by its track and time.
    """
    now = timezone.now()
    claimed = HistoryImport.objects.claimable(at=now).filter(pk=pk)
    if not claimed.update(status=HistoryImport.Status.RUNNING, progressed_at=now):
        return
    job = HistoryImport.objects.select_related("listener__preferences").get(pk=pk)
    try:
        finished = _take_in(job)
    except Unreadable as error:
        _end(job, HistoryImport.Status.FAILED, error=str(error))
        return
    except Exception:
        _end(job, HistoryImport.Status.FAILED, error="Something went wrong on our side.")
        raise
    if finished:
        _end(job, HistoryImport.Status.DONE)


def stalled_imports(*, at: datetime) -> list[int]:
    """Return the imports that nobody works at, though they are not done."""
    waiting = HistoryImport.objects.claimable(at=at).filter(
        created_at__lt=at - timedelta(minutes=1)
    )
    return list(waiting.order_by("created_at").values_list("pk", flat=True)[:100])


def _end(job: HistoryImport, status: str, *, error: str = "") -> None:
    """Close an import; the file goes, and the taste is made of what is there now."""
    stage = state.current()
    with transaction.atomic():
        if job.position and HistoryImport.objects.filter(pk=job.pk).exists():
            taste = tastes.lock_taste(job.listener)
            tastes.rebuild_taste(taste, job.listener, stage)
        HistoryImport.objects.filter(pk=job.pk).update(
            status=status, error=error, content=None, finished_at=timezone.now()
        )


def _take_in(job: HistoryImport) -> bool:
    """Take every row in; return False where another worker has taken over."""
    matcher = TrackMatcher()
    rows = islice(read_rows(bytes(job.content or b""), job.file_name), job.position, None)
    seen_any = job.position > 0
    while batch := list(islice(rows, BATCH)):
        if not seen_any and not any(source_of(row) for row in batch):
            raise Unreadable(
                "This is no history of Spotify, Last.fm or ListenBrainz: no row tells of a play."
            )
        seen_any = True
        if not _take_batch(job, batch, matcher):
            return False
    if not seen_any:
        raise Unreadable("The file holds no rows.")
    return True


def _take_batch(job: HistoryImport, batch: Sequence[dict[str, Any]], matcher: TrackMatcher) -> bool:
    now = timezone.now()
    plays: list[Play] = []
    for row in batch:
        try:
            plays.append(read_play(row, now=now.timestamp()))
        except NotAPlay as reason:
            logger.debug("import %s: a row is left out: %s", job.pk, reason)
    matched, missing = [], Counter(job.missing)
    for play, track in zip(plays, matcher.match(plays), strict=True):
        if track is None:
            missing[f"{play.artist} – {play.title}"] += 1
        else:
            matched.append((play, track))
    source = job.source or next(filter(None, map(source_of, batch)), "")
    with transaction.atomic():
        if not HistoryImport.objects.filter(pk=job.pk).exists():  # its listener was erased
            return False
        tastes.lock_taste(job.listener)  # two imports of one listener, one after the other
        fresh = _new_plays(job.listener, matched)
        position = job.position + len(batch)
        moved = HistoryImport.objects.filter(
            pk=job.pk, position=job.position, status=HistoryImport.Status.RUNNING
        ).update(
            position=position,
            matched=F("matched") + len(fresh),
            duplicates=F("duplicates") + len(matched) - len(fresh),
            unmatched=F("unmatched") + len(plays) - len(matched),
            rejected=F("rejected") + len(batch) - len(plays),
            missing=dict(missing.most_common(MAX_MISSING)),
            source=source,
            progressed_at=now,
        )
        if not moved:
            return False
        Feedback.objects.bulk_create(
            [_feedback(job.listener, play, track, matcher, now) for play, track in fresh],
            ignore_conflicts=True,
            batch_size=1000,
        )
    job.position, job.missing, job.source = position, dict(missing), source
    return True


def _new_plays(listener: Listener, matched: Sequence[tuple[Play, int]]) -> list[tuple[Play, int]]:
    """Return the plays that are not known yet, each once."""
    if not matched:
        return []
    times = [play.started_at for play, _ in matched]
    known: dict[int, list[float]] = defaultdict(list)
    rows = Feedback.objects.by(listener).filter(
        kind__in=[Feedback.Kind.PLAY, Feedback.Kind.SKIP],
        track__in={track for _, track in matched},
        occurred_at__range=(_time(min(times) - SAME_PLAY), _time(max(times) + SAME_PLAY)),
    )
    # Also what was taken back: it must not come again with the next file.
    for track, moment in rows.values_list("track_id", "occurred_at"):
        insort(known[track], moment.timestamp())
    fresh = []
    for play, track in matched:
        heard = known[track]
        place = bisect_left(heard, play.started_at - SAME_PLAY)
        if place == len(heard) or heard[place] > play.started_at + SAME_PLAY:
            insort(heard, play.started_at)
            fresh.append((play, track))
    return fresh


def _feedback(
    listener: Listener, play: Play, track: int, matcher: TrackMatcher, at: datetime
) -> Feedback:
    kind, completion = play.response(matcher.durations.get(track))
    return Feedback(
        event_id=f"play-{track}-{int(play.started_at)}",
        listener=listener,
        track_id=track,
        kind=kind,
        completion=completion,
        preference=preference_of(kind, completion=completion),
        occurred_at=_time(play.started_at),
        received_at=at,
        imported=True,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class TrackMatcher:
    """Finds the tracks that plays mean: by an id, or else by artist and title.

    Reads an artist's tracks once; so its size is bounded by the catalogue's.

    Attributes:
        durations: milliseconds by primary key, of tracks found so far.
    """

    def __init__(self) -> None:
        self.durations: dict[int, int | None] = {}
        self._by_name: dict[tuple[str, str], int] = {}
        self._read: set[str] = set()

    def match(self, plays: Sequence[Play]) -> Iterator[int | None]:
        """Yield the primary key of each play's track, or None; five queries or fewer."""
        by_id = self._by_ids(plays)
        self._read_artists({key for play in plays for key in artist_keys(play.artist)})
        for play in plays:
            ids = (play.spotify_id, play.musicbrainz_id.lower(), play.isrc)
            found = next((by_id[name] for name in ids if name and name in by_id), None)
            yield found if found is not None else self._named(play)

    def _by_ids(self, plays: Sequence[Play]) -> dict[str, int]:
        spotify = {play.spotify_id for play in plays if play.spotify_id}
        recordings = {play.musicbrainz_id.lower() for play in plays if play.musicbrainz_id}
        codes = {play.isrc for play in plays if play.isrc}
        wanted = [
            Q(spotify_id__in=spotify) if spotify else None,
            Q(track_id__in=spotify | recordings) if spotify or recordings else None,
            Q(musicbrainz_id__in=recordings) if recordings else None,
            Q(isrc__in=codes) if codes else None,
        ]
        found: dict[str, int] = {}
        for condition in filter(None, wanted):
            rows = Track.objects.filter(condition).order_by("-is_active", "-standing", "pk")
            for pk, duration, *names in rows.values_list(
                "pk", "duration_ms", "track_id", "spotify_id", "musicbrainz_id", "isrc"
            ):
                self.durations[pk] = duration
                for name in names:
                    if name:
                        found.setdefault(str(name), pk)
        return found

    def _read_artists(self, keys: set[str]) -> None:
        unread = keys - self._read
        self._read |= unread
        if not unread:
            return
        artists = dict(
            Artist.objects.filter(search_name__in=unread).values_list("pk", "search_name")
        )
        tracks = Track.objects.filter(artist__in=artists).order_by("-is_active", "-standing", "pk")
        for pk, artist, name, duration in tracks.values_list(
            "pk", "artist_id", "name", "duration_ms"
        ).iterator(chunk_size=5000):
            self.durations[pk] = duration
            self._by_name.setdefault((artists[artist], title_key(name)), pk)

    def _named(self, play: Play) -> int | None:
        title = title_key(play.title)
        names = ((artist, title) for artist in artist_keys(play.artist))
        return next((self._by_name[name] for name in names if name in self._by_name), None)
