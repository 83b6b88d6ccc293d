"""Measurements of the system, taken by a job and kept in rows, so that no page computes them."""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import redis
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum

from accounts.models import Listener, Preferences
from recommendations.core.latency import N_BUCKETS, percentile
from recommendations.core.spread import coverage, gini, novelty
from recommendations.models import (
    Genre,
    OutboxEvent,
    RequestMinute,
    SystemReading,
    SystemReport,
    Track,
    TrackShown,
)
from recommendations.services.feedback import record_feedback
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
from recommendations.serving import state

logger = logging.getLogger(__name__)

SPREAD_DAYS = 7
LAG_EVENTS = 2000
READINGS_KEPT = timedelta(days=14)
MINUTES_KEPT = timedelta(days=14)
RECOMMEND = "POST recommend"

Figures = dict[str, Any]


def measure_all(*, at: datetime, slow_too: bool) -> None:
    """Take every measurement and keep it; one that fails says so in its row and stops no other.

    Args:
        at: now.
        slow_too: also those that read a week or a day.
    """
    fast: dict[str, Callable[[datetime], Figures]] = {
        "freshness": probe_freshness,
        "effects": effects_lag,
        "storage": storage,
    }
    slow = {"spread": spread_of_lists, "latency": latency_of_a_day}
    for key, function in (fast | slow if slow_too else fast).items():
        _keep(key, function, at)
    _read(at)


def _keep(key: str, function: Callable[[datetime], Figures], at: datetime) -> None:
    began = clock.monotonic()
    figures: Figures = {}
    error = ""
    try:
        with transaction.atomic():
            figures = function(at)
    except Exception as reason:
        # Whatever it is, the others are still worth having, and the page shows this one's reason.
        logger.exception("the measurement %s failed", key)
        error = f"{type(reason).__name__}: {reason}"[:500]
    SystemReport.objects.update_or_create(
        key=key,
        defaults={
            "figures": figures,
            "error": error,
            "computed_at": at,
            "seconds": clock.monotonic() - began,
        },
    )


def _read(at: datetime) -> None:
    """Keep a reading to be drawn, and drop what is too old for that."""
    backlog = OutboxEvent.objects.backlog(at=at)
    probe = SystemReport.objects.filter(key="freshness").first()
    SystemReading.objects.update_or_create(
        at=at.replace(second=0, microsecond=0),
        defaults={
            "outbox_open": backlog.n_open,
            "outbox_oldest_seconds": backlog.oldest_seconds,
            "freshness_ms": probe.figures.get("milliseconds") if probe else None,
        },
    )
    SystemReading.objects.filter(at__lt=at - READINGS_KEPT).delete()
    RequestMinute.objects.filter(minute__lt=at - MINUTES_KEPT).delete()


def probe_freshness(at: datetime) -> Figures:
    """Return how long it takes from a response to another list, measured, and undone.

    A listener made for it says what they like, gets a list, likes its first track, and gets
    another list; then the transaction is rolled back, so that no ledger and no sum knows of it.
    """
    genres = list(
        Genre.objects.filter(tracks__is_active=True).distinct().values_list("name", flat=True)[:3]
    )
    with transaction.atomic():
        listener = Listener.objects.create(is_simulated=True, created_at=at)
        listener.preferences = Preferences.objects.create(listener=listener, genres=genres)
        wishes, strategy = Wishes(n=10), "hybrid_ensemble"
        before = recommend(listener=listener, wishes=wishes, at=at, strategy=strategy, record=False)
        if not before.items:
            transaction.set_rollback(True)
            return {"milliseconds": None, "changed": None, "missing": "There is no track to show."}
        first = Track.objects.get(track_id=before.items[0].track_id)
        began = clock.perf_counter()
        record_feedback(listener=listener, track=first, kind="like", at=at)
        after = recommend(listener=listener, wishes=wishes, at=at, strategy=strategy, record=False)
        milliseconds = 1000 * (clock.perf_counter() - began)
        transaction.set_rollback(True)
    shown = [item.track_id for item in after.items]
    return {
        "milliseconds": milliseconds,
        "changed": shown != [item.track_id for item in before.items],
        "gone": first.track_id not in shown,
        "entered": len(set(shown) - {item.track_id for item in before.items}),
    }


def effects_lag(at: datetime) -> Figures:
    """Return the seconds from a committed row to its effects, over the newest events."""
    newest = OutboxEvent.objects.order_by("-pk")[:LAG_EVENTS].values_list("created_at", "closed_at")
    lags = [(closed - created).total_seconds() for created, closed in newest if closed]
    if not lags:
        return {"n": 0}
    p50, p95, p99 = np.percentile(lags, [50, 95, 99]).tolist()
    return {"n": len(lags), "p50": p50, "p95": p95, "p99": p99}


def storage(at: datetime) -> Figures:
    """Return the sizes of the database, its largest tables, the cache and the queues."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        (database,) = cursor.fetchone()
        cursor.execute(
            "SELECT relname, pg_total_relation_size(oid), greatest(reltuples, 0)::bigint "
            "FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
            "ORDER BY 2 DESC LIMIT 8"
        )
        tables = [{"table": name, "bytes": size, "rows": n} for name, size, n in cursor.fetchall()]
        cursor.execute(
            "SELECT count(*), (SELECT setting::int FROM pg_settings WHERE name = 'max_connections')"
            " FROM pg_stat_activity WHERE datname = current_database()"
        )
        connections, most = cursor.fetchone()
    figures: Figures = {
        "database_bytes": database,
        "tables": tables,
        "connections": connections,
        "max_connections": most,
        "cache_bytes": None,
        "queues": {},
        "missing": "",
    }
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=0.5
        ) as client:
            figures["cache_bytes"] = client.info("memory")["used_memory"]
            figures["queues"] = {name: client.llen(name) for name in ("default", "training")}
    except redis.RedisError as error:
        figures["missing"] = f"Redis does not answer: {error}"[:200]
    return figures


def spread_of_lists(at: datetime) -> Figures:
    """Return coverage, Gini coefficient and novelty of what was shown in the last seven days."""
    since = at.astimezone(UTC).date() - timedelta(days=SPREAD_DAYS - 1)
    catalogue = state.current().catalogue
    counts = (
        TrackShown.objects.filter(day__gte=since)
        .order_by()
        .values_list("track_id")
        .annotate(total=Sum("n"))
    )
    pairs = np.array(list(counts), np.int64).reshape(-1, 2)
    shown = np.zeros(len(catalogue), np.int64)
    rows = catalogue.rows_of(pairs[:, 0])
    shown[rows[rows >= 0]] = pairs[rows >= 0, 1]
    if not len(catalogue):
        return {"tracks": 0, "shown": 0}
    return {
        "days": SPREAD_DAYS,
        "tracks": len(catalogue),
        "shown": int(np.count_nonzero(shown)),
        "places": int(shown.sum()),
        "coverage": coverage(shown),
        "gini": gini(shown),
        "novelty_bits": novelty(shown, catalogue.popularity),
        "catalogue_novelty_bits": novelty(np.ones(len(catalogue), np.int64), catalogue.popularity),
        # Lorenz curve in twentieths: share of places held by the least shown share of tracks.
        "lorenz": _lorenz(shown),
    }


def _lorenz(shown: np.ndarray, n_points: int = 21) -> list[float]:
    total = shown.sum()
    if not total:
        return []
    held = np.concatenate([[0.0], np.cumsum(np.sort(shown)) / total])
    places = np.linspace(0, len(shown), n_points)
    return np.interp(places, np.arange(len(held)), held).round(4).tolist()


def latency_of_a_day(at: datetime) -> Figures:
    """Return p50, p95 and p99 of lists by quarter of an hour over the last day."""
    since = at.replace(second=0, microsecond=0) - timedelta(days=1)
    quarters: dict[datetime, np.ndarray] = {}
    rows = RequestMinute.objects.since(since).filter(endpoint=RECOMMEND)
    for minute, buckets in rows.values_list("minute", "buckets").iterator(chunk_size=500):
        quarter = minute.replace(minute=minute.minute // 15 * 15)
        quarters.setdefault(quarter, np.zeros(N_BUCKETS, np.int64))
        quarters[quarter] += np.array(buckets)
    return {
        "points": [
            {
                "at": quarter.isoformat(),
                "n": int(counts.sum()),
                **{f"p{p}": percentile(counts.tolist(), p / 100) for p in (50, 95, 99)},
            }
            for quarter, counts in sorted(quarters.items())
        ]
    }
