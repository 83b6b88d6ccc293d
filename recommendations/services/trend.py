"""The trend: how much each track is listened to of late, a listener at a time.

The heat of a track is a sum over listeners: the preference of the latest response of each that
stands, halved once per `TRENDING_HALF_LIFE` since it occurred.  So saying a thing again moves a
track no further, as in training.  Of the responses of one listener that were received within an
hour of the clock the first `flood.FLOOD_PER_HOUR` count, on however many tracks they are; of a
person that is all of them.

The sum is kept, and changed by differences: `HeatShare` says what a listener adds to it now.  The
lock on a track's heat guards the shares in it, and what is read under the lock is all that was
committed before; so heat and shares follow from the responses, whatever the order and number of
workers that apply them.  Where locks are taken, allowances come first and heats after, both in
the order of keys.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Count

from accounts.models import Listener
from recommendations.flood import FLOOD_PER_HOUR
from recommendations.models import Feedback, HeatAllowance, HeatShare, Retraction, TrackHeat

FORGOTTEN_AFTER = 20
"""Half-lives after which a share, a millionth of what it was, is no longer kept."""

ALLOWANCE_KEPT = timedelta(days=7)
"""How long it is known how much of an hour was met; longer than any backlog of effects."""

Pair = tuple[int, int]
"""Keys of a listener and a track."""


class Share(NamedTuple):
    """What a listener adds to the heat of a track; the larger of two is the later."""

    occurred_at: datetime
    feedback_id: int
    preference: float


def move_trend(responses: Sequence[Feedback], taken_back: Sequence[Feedback]) -> None:
    """Add responses to the heat of their tracks, and take others out of it again.

    In a number of statements that does not depend on how many they are.  A response may be taken
    back before it was added, by another worker: it is not added any more then.
    """
    counting = _within_allowance(responses)
    n_more = Counter(response.track_id for response in responses)
    n_more.subtract(response.track_id for response in taken_back)
    heats = _lock_heats({r.track_id: r.occurred_at for r in (*responses, *taken_back)})
    before = _shares_of({_pair(response) for response in (*counting, *taken_back)})
    after = dict(before)
    for response in _standing(counting):
        pair, share = _pair(response), _share(response)
        after[pair] = max(share, after.get(pair, share))
    gone = {response.pk for response in taken_back}
    lost = {pair for pair, share in after.items() if share.feedback_id in gone}
    after = {pair: share for pair, share in after.items() if pair not in lost}
    _settle(before, after | _latest_standing(lost), heats, n_more)


def give_shares(giver: Listener, *, to: Listener) -> None:
    """Let a listener have another's part in the trend, as they have the other's responses now."""
    shares = HeatShare.objects.filter(listener=giver)
    tracks = dict(shares.values_list("track_id", "occurred_at"))
    heats = _lock_heats(tracks)
    theirs = {(to.pk, track) for track in tracks}
    before = _shares_of(theirs | {(giver.pk, track) for track in tracks})
    _settle(before, _latest_standing(theirs), heats, Counter())


def add_histories(listeners: Collection[int], *, at: datetime) -> None:
    """Add everything that listeners of whom nothing was added yet have said; for many responses.

    No allowance: it is the caller's own data.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ADD_HISTORIES, [list(listeners), at, _half_life().total_seconds()])
        warmth = dict(cursor.fetchall())
    n_more = Counter(
        dict(
            Feedback.objects.given_here()
            .standing()
            .filter(listener__in=listeners)
            .values_list("track_id")
            .annotate(Count("pk"))
        )
    )
    parts = {track: [(value, at)] for track, value in warmth.items()}
    _add(parts, _lock_heats(dict.fromkeys(warmth, at)), n_more)


def prune_trend(*, at: datetime) -> int:
    """Forget shares that have cooled down and old allowances, and return how many they were."""
    # Shares that a worker holds are left for another night: who waits here might hold up others.
    cold = HeatShare.objects.filter(occurred_at__lt=at - FORGOTTEN_AFTER * _half_life())
    free = cold.select_for_update(skip_locked=True)
    n_shares, _ = HeatShare.objects.filter(pk__in=free.values("pk")).delete()
    n_hours, _ = HeatAllowance.objects.filter(hour__lt=at - ALLOWANCE_KEPT).delete()
    return n_shares + n_hours


_ADD_HISTORIES = """
WITH own AS (
    INSERT INTO recommendations_heatshare
        (listener_id, track_id, feedback_id, preference, occurred_at)
    SELECT DISTINCT ON (listener_id, track_id)
        listener_id, track_id, id, preference, occurred_at
    FROM recommendations_feedback f
    WHERE listener_id = ANY(%s) AND NOT imported
      AND NOT EXISTS (SELECT FROM recommendations_retraction r WHERE r.feedback_id = f.id)
    ORDER BY listener_id, track_id, occurred_at DESC, id DESC
    RETURNING track_id, preference, occurred_at
)
SELECT track_id, sum(preference * power(
    0.5, least(greatest(extract(epoch FROM %s - occurred_at) / %s, 0), 1000)::float8))
FROM own GROUP BY track_id
"""
_COUNT = """
INSERT INTO recommendations_heatallowance AS met (listener_id, hour, n)
SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::integer[])
ON CONFLICT (listener_id, hour) DO UPDATE SET n = met.n + excluded.n
RETURNING listener_id, hour, n
"""
_SHARES = """
SELECT listener_id, track_id, occurred_at, feedback_id, preference
FROM unnest(%s::bigint[], %s::bigint[]) AS pair(listener_id, track_id)
JOIN recommendations_heatshare USING (listener_id, track_id)
"""
_LATEST = """
SELECT DISTINCT ON (listener_id, track_id)
    listener_id, track_id, occurred_at, id, preference
FROM unnest(%s::bigint[], %s::bigint[]) AS pair(listener_id, track_id)
JOIN recommendations_feedback f USING (listener_id, track_id)
WHERE NOT imported
  AND NOT EXISTS (SELECT FROM recommendations_retraction r WHERE r.feedback_id = f.id)
ORDER BY listener_id, track_id, occurred_at DESC, id DESC
"""


def _within_allowance(responses: Sequence[Feedback]) -> list[Feedback]:
    """Return the responses that count, and count all of them against their listeners' hours."""
    if not responses:
        return []
    met = Counter(_hour(response) for response in responses)
    hours = sorted(met)
    columns = [[key[0] for key in hours], [key[1] for key in hours], [met[key] for key in hours]]
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, columns)
        left = {(owner, hour): FLOOD_PER_HOUR - n for owner, hour, n in cursor.fetchall()}
    counting = []
    for response in sorted(responses, key=lambda response: response.pk):
        hour = _hour(response)
        if left[hour] + met[hour] > 0:  # what was left when this one came
            counting.append(response)
        met[hour] -= 1
    return counting


def _hour(response: Feedback) -> tuple[int | None, datetime]:
    # As it was received: a client says when it occurred, and might spread a flood over the past.
    hour = response.received_at.replace(minute=0, second=0, microsecond=0)
    return response.listener_id, hour


def _lock_heats(since: Mapping[int, datetime]) -> dict[int, TrackHeat]:
    """Return the heats of tracks, locked; a track without one gets it, as of the time given."""
    tracks = sorted(since)
    TrackHeat.objects.bulk_create(
        (TrackHeat(track_id=track, heat_at=since[track]) for track in tracks),
        ignore_conflicts=True,
    )
    locked = TrackHeat.objects.select_for_update().filter(track__in=tracks).order_by("track_id")
    return {heat.track_id: heat for heat in locked}


def _standing(responses: Sequence[Feedback]) -> list[Feedback]:
    """Return what was not taken back by now: what the response was read with may be old."""
    keys = [response.pk for response in responses]
    gone = set(Retraction.objects.filter(feedback__in=keys).values_list("feedback_id", flat=True))
    return [response for response in responses if response.pk not in gone]


def _shares_of(pairs: Collection[Pair]) -> dict[Pair, Share]:
    return _read(_SHARES, pairs)


def _latest_standing(pairs: Collection[Pair]) -> dict[Pair, Share]:
    return _read(_LATEST, pairs)


def _read(statement: str, pairs: Collection[Pair]) -> dict[Pair, Share]:
    if not pairs:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(column) for column in zip(*sorted(pairs), strict=True)])
        return {(row[0], row[1]): Share(*row[2:]) for row in cursor.fetchall()}


def _settle(
    before: Mapping[Pair, Share],
    after: Mapping[Pair, Share],
    heats: Mapping[int, TrackHeat],
    n_more: Counter[int],
) -> None:
    """Put the shares `after` in the place of those `before`, and the difference into the heats."""
    parts: dict[int, list[tuple[float, datetime]]] = defaultdict(list)
    for sign, shares, others in ((1, after, before), (-1, before, after)):
        for pair, share in shares.items():
            if others.get(pair) != share:
                parts[pair[1]].append((sign * share.preference, share.occurred_at))
    changed = [pair for pair, share in after.items() if before.get(pair) != share]
    HeatShare.objects.bulk_create(
        (
            HeatShare(listener_id=pair[0], track_id=pair[1], **after[pair]._asdict())
            for pair in sorted(changed)
        ),
        update_conflicts=True,
        unique_fields=["listener", "track"],
        update_fields=Share._fields,
    )
    if lost := before.keys() - after.keys():
        HeatShare.objects.filter(pk__in=sorted(lost)).delete()
    _add(parts, heats, n_more)


def _add(
    parts: Mapping[int, Sequence[tuple[float, datetime]]],
    heats: Mapping[int, TrackHeat],
    n_more: Counter[int],
) -> None:
    """Add values, each with its time, to locked heats, and responses to their counts."""
    for track, heat in heats.items():
        moments = [(heat.heat, heat.heat_at), *parts.get(track, ())]
        heat.heat_at = max(moment for _, moment in moments)
        heat.heat = _sum_at(heat.heat_at, moments)
        heat.n_feedback += n_more[track]
    TrackHeat.objects.bulk_create(
        heats.values(),
        update_conflicts=True,
        unique_fields=["track"],
        update_fields=["heat", "heat_at", "n_feedback"],
    )


def _sum_at(at: datetime, values: Iterable[tuple[float, datetime]]) -> float:
    """Return a sum of values, each halved once per half-life from its time until `at`."""
    half_life = _half_life()
    return sum(value * 0.5 ** ((at - moment) / half_life) for value, moment in values)


def _half_life() -> timedelta:
    half_life: timedelta = settings.MUSICREC["TRENDING_HALF_LIFE"]
    return half_life


def _pair(response: Feedback) -> Pair:
    return response.listener_id, response.track_id


def _share(response: Feedback) -> Share:
    return Share(response.occurred_at, response.pk, response.preference)
