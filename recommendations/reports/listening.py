"""What a listener's own listening comes to: taste and statistics, each grouped by the database."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any

from django.db.models import Avg, Count, F, Q, QuerySet, Sum
from django.db.models.functions import (
    ExtractHour,
    ExtractIsoWeekDay,
    Floor,
    TruncDay,
    TruncMonth,
    TruncWeek,
)

from accounts.models import Listener
from recommendations.core.content import ContentFeatures
from recommendations.core.plays import EARLIEST
from recommendations.models import Feedback, Recommendation, Track
from recommendations.models.catalogue import AUDIO_FEATURES
from recommendations.models.ledger import RecommendationQuerySet

PERIODS = {
    "4w": timedelta(weeks=4),
    "6m": timedelta(days=183),
    "1y": timedelta(days=365),
    "all": None,
}
_STEPS = {"4w": TruncDay, "6m": TruncWeek, "1y": TruncMonth, "all": TruncMonth}

TOP = 20
MONTHS = 24
GENRES_A_MONTH = 8
CHANGES = 10
"""Pairs of lists that are compared, at most."""


def time_zone_of(listener: Listener) -> tzinfo:
    """Return the listener's time zone; UTC where it is not known, or is none."""
    try:
        return zoneinfo.ZoneInfo(listener.time_zone or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return zoneinfo.ZoneInfo("UTC")


def taste_report(listener: Listener, content: ContentFeatures) -> dict[str, Any]:
    """Return what a listener likes, from all that they did and did not take back; five queries.

    A genre's or an artist's share is its part of the sum of preferences, so that a track that was
    skipped adds nothing; a track of two genres counts for both, and shares add up to one.

    Args:
        listener: whose.
        content: of the catalogue, which the listener's audio profile is compared with.
    """
    responses = Feedback.objects.by(listener).standing()
    means = {f"mean_{name}": _weighted_mean(name) for name in AUDIO_FEATURES}
    totals = responses.aggregate(n=Count("pk"), mean=Avg("preference"), **means)
    artists = responses.by_artist()[:TOP]
    catalogue = catalogue_means(content)
    return {
        "n_feedback": totals["n"],
        "mean_preference": totals["mean"],
        "genres": _shares(responses.by_genre())[:TOP],
        "artists": list(artists),
        "audio": {
            name: {"mean": totals[f"mean_{name}"], "catalogue_mean": catalogue[name]}
            for name in AUDIO_FEATURES
        },
        "changed": _genres_by_month(responses),
    }


def _weighted_mean(feature: str) -> Any:
    """Return SQL for the mean of a feature, weighted by preference; null where nothing weighs."""
    known = Q(**{f"track__{feature}__isnull": False}, preference__gt=0)
    return Sum(F("preference") * F(f"track__{feature}"), filter=known) / Sum(
        "preference", filter=known
    )


def catalogue_means(content: ContentFeatures) -> dict[str, float | None]:
    """Return each audio feature's mean over the catalogue; None where no track has it."""
    means = zip(AUDIO_FEATURES, content.audio_mean, content.audio.any(axis=0), strict=True)
    return {name: float(mean) if known or mean else None for name, mean, known in means}


def _shares(genres: QuerySet) -> list[dict[str, Any]]:
    rows = list(genres)
    total = sum(row["weight"] for row in rows)
    return [
        {"genre": row["genre"], "share": row["weight"] / total if total else 0.0, "n": row["n"]}
        for row in rows
    ]


def _genres_by_month(responses: QuerySet[Feedback]) -> list[dict[str, Any]]:
    """Return the largest genres of each of the latest months with a response, oldest first."""
    months: dict[datetime, list[dict[str, Any]]] = {}
    for row in responses.by_genre(per=TruncMonth("occurred_at")):
        months.setdefault(row["at"], []).append(row)
    latest = sorted(months.items())[-MONTHS:]
    return [
        {
            "at": at,
            "genres": [
                {"genre": row["genre"], "share": row["weight"] / total}
                for row in rows[:GENRES_A_MONTH]
            ],
        }
        for at, rows in latest
        if (total := sum(row["weight"] for row in rows)) > 0
    ]


def statistics_report(listener: Listener, *, period: str, at: datetime) -> dict[str, Any]:
    """Return what a listener listened to within a period, in eleven queries or fewer.

    Heard are tracks that were played, liked, saved or rated; skipping, disliking and hiding one is
    a response, not listening.

    Args:
        listener: whose.
        period: one of `PERIODS`.
        at: now, the period's end.
    """
    length = PERIODS[period]
    zone = time_zone_of(listener)
    responses = Feedback.objects.by(listener).standing()
    slates = Recommendation.objects.of(listener)
    # What claims to be older than that has no day, or none that a calendar of ours knows.
    since = EARLIEST if length is None else at - length
    responses = responses.filter(occurred_at__gte=since)
    slates = slates.filter(created_at__gte=since)
    heard = responses.heard()
    week = [[0] * 24 for _ in range(7)]
    cells = heard.values(
        day=ExtractIsoWeekDay("occurred_at", tzinfo=zone),
        hour=ExtractHour("occurred_at", tzinfo=zone),
    ).annotate(n=Count("pk"))
    for cell in cells.order_by():
        week[cell["day"] - 1][cell["hour"]] = cell["n"]
    return {
        "period": period,
        "n": sum(map(sum, week)),
        "top_artists": [
            {"artist_id": row["artist_id"], "artist": row["artist"], "plays": row["n"]}
            for row in heard.by_artist().order_by("-n", "artist_id")[:TOP]
        ],
        "top_tracks": _top_tracks(heard),
        "top_genres": [
            {"genre": row["genre"], "share": row["share"]}
            for row in _shares(heard.by_genre())[:TOP]
        ],
        "week_hours": week,
        "over_time": list(
            heard.values(at=_STEPS[period]("occurred_at", tzinfo=zone))
            .annotate(valence=Avg("track__valence"), energy=Avg("track__energy"), n=Count("pk"))
            .order_by("at")
        ),
        "era": list(
            heard.filter(track__year__isnull=False)
            .values(decade=Floor(F("track__year") / 10) * 10)
            .annotate(n=Count("pk"))
            .order_by("decade")
        ),
        "strategies": _by_strategy(slates, responses),
        "recommendations_changed": _changes(slates, responses),
    }


def _top_tracks(heard: QuerySet[Feedback]) -> list[dict[str, Any]]:
    rows = heard.values("track_id").annotate(plays=Count("pk")).order_by("-plays", "track_id")
    plays = dict(rows.values_list("track_id", "plays")[:TOP])
    tracks = Track.objects.with_facts().in_bulk(list(plays))
    return [{"track": tracks[pk], "plays": n} for pk, n in plays.items()]


def _by_strategy(
    slates: QuerySet[Recommendation], responses: QuerySet[Feedback]
) -> list[dict[str, Any]]:
    answered = {
        row["strategy"]: row
        for row in responses.exclude(strategy="")
        .values("strategy")
        .annotate(responses=Count("pk"), mean_preference=Avg("preference"))
        .order_by()
    }
    nothing = {"responses": 0, "mean_preference": None}
    return [
        {"strategy": row["strategy"], "slates": row["n"]}
        | {name: answered.get(row["strategy"], nothing)[name] for name in nothing}
        for row in slates.values("strategy").annotate(n=Count("pk")).order_by("-n", "strategy")
    ]


@dataclass(frozen=True)
class _Change:
    """Two lists for the same wishes, and the last response between them."""

    response: dict[str, Any]
    entered: Sequence[int]
    left: Sequence[int]


def _changes(slates: RecommendationQuerySet, responses: QuerySet[Feedback]) -> list[dict[str, Any]]:
    """Return how the newest lists changed with the responses between them, the newest first.

    Fixed rows are left out: each is about something else than the list before it.
    """
    rows = slates.by_policy().order_by("-created_at", "-pk")
    newest = list(rows.values_list("created_at", "tracks", "context")[: 4 * CHANGES])
    if len(newest) < 2:
        return []
    since = newest[-1][0]
    said = list(
        responses.filter(received_at__gt=since)
        .order_by("-received_at")
        .values("kind", "track_id", "received_at")[:1000]
    )
    found: list[_Change] = []
    for (later, after, wishes), (earlier, before, same) in pairwise(newest):
        between = [row for row in said if earlier < row["received_at"] <= later]
        comparable = wishes == same and len(after) == len(before)
        if between and comparable and set(after) != set(before) and len(found) < CHANGES:
            entered = [pk for pk in after if pk not in before]
            left = [pk for pk in before if pk not in after]
            found.append(_Change(between[0], entered, left))
    named = {pk for c in found for pk in (c.response["track_id"], *c.entered, *c.left)}
    tracks = Track.objects.with_facts().in_bulk(list(named))
    return [
        {
            "at": change.response["received_at"],
            "kind": change.response["kind"],
            "track": tracks.get(change.response["track_id"]),
            "entered": [tracks[pk] for pk in change.entered if pk in tracks],
            "left": [tracks[pk] for pk in change.left if pk in tracks],
        }
        for change in found
    ]
