"""Counting the ledger into small tables, a day at a time; pages read those.

What is counted is written in one transaction, over what was there: counting it twice changes
nothing, and a job that is killed goes on with the first day that is not settled.  Today is counted
each minute, mostly its last slots alone, so that a long day costs no more than a short one.
"""

from __future__ import annotations

import time as clock
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection, transaction
from django.db.models import Min

from recommendations.models import CountedDay, Feedback, Recommendation, TrackShown

SLOT = timedelta(minutes=5)
SETTLES_AFTER = timedelta(hours=1)
"""After midnight, when no transaction that began before it can still be open."""

WHOLE_EVERY = timedelta(hours=1)
"""How often today is counted whole, and with it on how many lists each track was."""

TAIL = timedelta(minutes=15)
"""How far a count looks back before the last one: longer than anything takes to be committed."""

COUNTED_DAYS = 35
"""How far back days are counted: four weeks and one, for comparison with last week."""

_LOCK = (0x6D72, -1)

_SLOTS = """
    WITH slates AS (
        SELECT r.created_at AS at, r.listener_id, r.experiment, r.fallback,
               coalesce(l.is_simulated, false) AS is_simulated
        FROM recommendations_recommendation r
        LEFT JOIN accounts_listener l ON l.id = r.listener_id
        WHERE r.created_at >= %(since)s AND r.created_at < %(end)s
    ), responses AS (
        SELECT received_at AS at, listener_id, kind, rating
        FROM recommendations_feedback
        WHERE received_at >= %(since)s AND received_at < %(end)s
    ), firsts AS (
        SELECT at FROM (
            SELECT listener_id, min(at) AS at FROM (
                SELECT at, listener_id FROM slates UNION ALL SELECT at, listener_id FROM responses
            ) acts WHERE listener_id IS NOT NULL GROUP BY listener_id
        ) here
        WHERE NOT EXISTS (
            SELECT FROM recommendations_recommendation r WHERE r.listener_id = here.listener_id
            AND r.created_at >= %(start)s AND r.created_at < %(since)s
        ) AND NOT EXISTS (
            SELECT FROM recommendations_feedback f WHERE f.listener_id = here.listener_id
            AND f.received_at >= %(start)s AND f.received_at < %(since)s
        )
    ), counts AS (
        SELECT date_bin('5 minutes', at, %(start)s) AS slot, 0 AS n_first_seen,
               count(*) AS n_slates,
               count(*) FILTER (WHERE experiment <> '') AS n_in_experiment,
               count(*) FILTER (WHERE fallback <> '') AS n_fallbacks,
               count(*) FILTER (WHERE is_simulated) AS n_simulated,
               0 AS n_responses, 0 AS n_ratings, 0 AS rating_sum, 0 AS n_likes,
               0 AS n_dislikes, 0 AS n_plays, 0 AS n_skips
        FROM slates GROUP BY 1
        UNION ALL
        SELECT date_bin('5 minutes', at, %(start)s), 0, 0, 0, 0, 0, count(*),
               count(*) FILTER (WHERE kind = 'rating'), coalesce(sum(rating), 0),
               count(*) FILTER (WHERE kind = 'like'), count(*) FILTER (WHERE kind = 'dislike'),
               count(*) FILTER (WHERE kind = 'play'), count(*) FILTER (WHERE kind = 'skip')
        FROM responses GROUP BY 1
        UNION ALL
        SELECT date_bin('5 minutes', at, %(start)s), count(*), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
        FROM firsts GROUP BY 1
    )
    INSERT INTO recommendations_activityslot (
        starts_at, n_first_seen, n_slates, n_in_experiment, n_fallbacks, n_simulated,
        n_responses, n_ratings, rating_sum, n_likes, n_dislikes, n_plays, n_skips)
    SELECT slot, sum(n_first_seen), sum(n_slates), sum(n_in_experiment), sum(n_fallbacks),
           sum(n_simulated), sum(n_responses), sum(n_ratings), sum(rating_sum), sum(n_likes),
           sum(n_dislikes), sum(n_plays), sum(n_skips)
    FROM counts GROUP BY slot
"""

_SHOWN = """
    INSERT INTO recommendations_trackshown (day, track_id, n)
    SELECT %(day)s, shown.track, count(*)
    FROM recommendations_recommendation r CROSS JOIN unnest(r.tracks) AS shown(track)
    JOIN recommendations_track t ON t.id = shown.track
    WHERE r.created_at >= %(start)s AND r.created_at < %(end)s
    GROUP BY shown.track
"""


def count_days(*, at: datetime, budget_seconds: float = 45.0, again: bool = False) -> list[date]:
    """Count the days that are not settled, oldest first and today last; return which.

    Stops when the time is up; the next call goes on.  Two at a time would count the same: the
    second returns at once.

    Args:
        at: now.
        budget_seconds: no further day is begun after this time.
        again: forget which days were settled, as after rows with old times came in.
    """
    began = clock.monotonic()
    counted: list[date] = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", _LOCK)
        (held,) = cursor.fetchone()
    if not held:
        return counted
    try:
        if again:
            CountedDay.objects.all().delete()
        for day in _unsettled(at):
            count_day(day, at=at)
            counted.append(day)
            if clock.monotonic() - began > budget_seconds:
                break
        _forget(at)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", _LOCK)
    return counted


@transaction.atomic
def count_day(day: date, *, at: datetime) -> None:
    """Count one day (UTC) into its slots and tracks, in place of what was counted before.

    A day that was counted whole within the last hour and is not settled is counted from `TAIL`
    before its last count on, and its tracks stay as they are.
    """
    began = clock.monotonic()
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    settles_at = end + SETTLES_AFTER
    last = CountedDay.objects.filter(day=day).first()
    whole_at = last.whole_at if last else None
    if is_whole := whole_at is None or at >= min(whole_at + WHOLE_EVERY, settles_at):
        since = start
    else:
        tail = max(last.counted_at - TAIL - start, timedelta())
        since = start + tail // SLOT * SLOT
    between = {"day": day, "start": start, "since": since, "end": end}
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM recommendations_activityslot "
            "WHERE starts_at >= %(since)s AND starts_at < %(end)s",
            between,
        )
        cursor.execute(_SLOTS, between)
        if is_whole:
            cursor.execute("DELETE FROM recommendations_trackshown WHERE day = %(day)s", between)
            cursor.execute(_SHOWN, between)
    CountedDay.objects.update_or_create(
        day=day,
        defaults={
            "counted_at": at,
            "whole_at": at if is_whole else whole_at,
            "settles_at": settles_at,
            "seconds": clock.monotonic() - began,
        },
    )


def _unsettled(at: datetime) -> list[date]:
    today = at.astimezone(UTC).date()
    earliest = today - timedelta(days=COUNTED_DAYS - 1)
    first = CountedDay.objects.aggregate(first=Min("day"))["first"] or _first_day()
    if first is None:
        return []
    settled = set(CountedDay.objects.final().values_list("day", flat=True))
    day = max(first, earliest)
    days = []
    while day <= today:
        if day not in settled:
            days.append(day)
        day += timedelta(days=1)
    return days


def _first_day() -> date | None:
    """Return the first day of the ledger; reads it whole, so only where nothing is counted yet."""
    slate = Recommendation.objects.aggregate(first=Min("created_at"))["first"]
    response = Feedback.objects.aggregate(first=Min("received_at"))["first"]
    return min(
        (moment.astimezone(UTC).date() for moment in (slate, response) if moment), default=None
    )


def _forget(at: datetime) -> None:
    """Drop what is older than any page looks back."""
    before = at.astimezone(UTC).date() - timedelta(days=COUNTED_DAYS)
    TrackShown.objects.filter(day__lt=before).delete()
