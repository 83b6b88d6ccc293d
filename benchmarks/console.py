"""Milliseconds and queries of every page of the console at a million rows of feedback.

    python benchmarks/console.py [--feedback 1000000]

Generates 50,000 listeners, 20,000 tracks, slates and their feedback over 30 days, an outbox, a
day of request times and an audit log, in a database of its own that is dropped afterwards, on the
Postgres of the settings; runs the jobs that fill the reports; then asks for each page.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.machine import use_test_client

use_test_client()

import django  # noqa: E402 - same

MOST_MS = 300.0
MOST_QUERIES = 15
N_LISTENERS, N_TRACKS, N_ARTISTS, N_GENRES = 50_000, 20_000, 4_000, 60
FEEDBACK_PER_SLATE = 5

STATEMENTS = (
    "INSERT INTO accounts_listener (uuid, country, time_zone, is_simulated, created_at) "
    "SELECT gen_random_uuid(), '', '', true, now() FROM generate_series(1, %(listeners)s)",
    "INSERT INTO recommendations_artist (name, search_name) "
    "SELECT 'Artist ' || n, 'artist ' || n FROM generate_series(1, %(artists)s) n",
    "INSERT INTO recommendations_genre (name, search_name) "
    "SELECT 'genre ' || n, 'genre ' || n FROM generate_series(1, %(genres)s) n",
    "INSERT INTO recommendations_track (track_id, name, search_name, artist_id, album, popularity, "
    "energy, valence, is_active, created_at, updated_at) "
    "SELECT 't' || n, 'Song ' || n, 'song ' || n, a.id, '', n %% 101, random(), random(), true, "
    "now(), now() FROM generate_series(1, %(tracks)s) n "
    "JOIN (SELECT id, row_number() OVER (ORDER BY id) AS r FROM recommendations_artist) a "
    "ON a.r = 1 + n %% %(artists)s",
    "INSERT INTO recommendations_track_genres (track_id, genre_id) "
    "SELECT t.id, g.id FROM recommendations_track t "
    "JOIN (SELECT id, row_number() OVER (ORDER BY id) AS r FROM recommendations_genre) g "
    "ON g.r = 1 + t.id %% %(genres)s WHERE t.id %% 50 <> 0",
    # Places fall on tracks as they do: a few have many (the square of a uniform number).
    "INSERT INTO recommendations_recommendation (id, listener_id, created_at, policy, experiment, "
    "variant, strategy, chosen_strategy, propensity, probabilities, fallback, tracks, scores, "
    "predictions, context, latency_ms) "
    "SELECT gen_random_uuid(), l.first + (n * 7919 %% %(listeners)s), "
    "now() - interval '30 days' * (1 - n::float / %(slates)s), 'hybrid_ensemble', 'e', 'v', "
    "'hybrid_ensemble', 'hybrid_ensemble', 1, '{}', '', "
    "ARRAY(SELECT t.first + floor(power(random(), 2) * %(tracks)s + 0 * n)::bigint "
    "      FROM generate_series(1, 10)), "
    "array_fill(0.5::float, ARRAY[10]), array_fill(3.5::float, ARRAY[10]), '{}', 12 "
    "FROM generate_series(1, %(slates)s) n, "
    "(SELECT min(id) AS first FROM accounts_listener) l, "
    "(SELECT min(id) AS first FROM recommendations_track) t",
    "INSERT INTO recommendations_feedback (event_id, listener_id, track_id, kind, rating, "
    "preference, recommendation_id, position, strategy, propensity, context, occurred_at, "
    "received_at) "
    "SELECT r.id || '-' || p, r.listener_id, r.tracks[p], "
    "CASE WHEN p = 1 THEN 'rating' WHEN p = 2 THEN 'skip' WHEN p = 3 THEN 'like' ELSE 'play' END, "
    "CASE WHEN p = 1 THEN 4 END, 0.75, r.id, p - 1, r.strategy, 1, '{}', "
    "r.created_at + interval '1 minute' * p, r.created_at + interval '1 minute' * p "
    "FROM recommendations_recommendation r, generate_series(1, %(per_slate)s) p "
    "WHERE r.created_at + interval '1 minute' * p <= now()",
    "INSERT INTO recommendations_outboxevent (kind, feedback_id, created_at, due_at, attempts, "
    "last_error, closed_at) SELECT 'feedback', id, received_at, received_at, "
    "CASE WHEN id %% 5000 = 0 THEN 8 ELSE 0 END, '', "
    "CASE WHEN id %% 5000 = 0 THEN NULL ELSE received_at + interval '1 second' END "
    "FROM recommendations_feedback",
    "INSERT INTO recommendations_requestminute (minute, endpoint, strategy, n, n_errors, "
    "n_refused, n_fallbacks, buckets) "
    "SELECT date_trunc('minute', now()) - interval '1 minute' * m, 'POST recommend', s, 60, "
    "0, 0, 1, array_fill(1, ARRAY[136]) FROM generate_series(0, 1439) m, "
    "unnest(ARRAY['neural_cf', 'content_based', 'hybrid_ensemble', 'trending', 'discovery']) s",
    "INSERT INTO recommendations_requestminute (minute, endpoint, strategy, n, n_errors, "
    "n_refused, n_fallbacks, buckets) "
    "SELECT date_trunc('minute', now()) - interval '1 minute' * m, 'GET endpoint/' || e, '', "
    "60, 0, 0, 0, array_fill(1, ARRAY[136]) "
    "FROM generate_series(0, 60) m, generate_series(1, 40) e",
    "INSERT INTO recommendations_systemreading (at, outbox_open, outbox_oldest_seconds, "
    "freshness_ms) SELECT date_trunc('minute', now()) - interval '1 minute' * m, m, m, 20 "
    "FROM generate_series(0, 20159) m",
    "INSERT INTO recommendations_auditentry (at, actor, source, act, subject_type, subject, "
    "subject_key, words, details) SELECT now() - interval '1 minute' * m, 'a@example.org', "
    "'console', 'looked at', 'accounts.listener', 'somebody', '1', '', '{}' "
    "FROM generate_series(100000, 1, -1) m",
)


def main() -> int:
    """Run it; exit with 1 where a page takes over 300 ms or 15 queries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--feedback", type=int, default=1_000_000)
    n = parser.parse_args().feedback
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection, connections

    call_command("collectstatic", interactive=False, verbosity=0)
    own = settings.DATABASES["default"]["NAME"]
    connection.settings_dict["TEST"]["NAME"] = "benchmark_console"
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        return measure(n)
    finally:
        connections.close_all()
        connection.creation.destroy_test_db(own, verbosity=0)


def measure(n_feedback: int) -> int:
    """Generate, count, ask; print the figures and return the exit status."""
    from django.db import connection
    from django.utils import timezone

    from benchmarks.machine import describe_machine
    from recommendations.services import measuring
    from recommendations.services.catalogue import touch_catalogue
    from recommendations.services.rollups import count_day, count_days

    began = time.perf_counter()
    sizes = {
        "listeners": N_LISTENERS,
        "tracks": N_TRACKS,
        "artists": N_ARTISTS,
        "genres": N_GENRES,
        "slates": n_feedback // FEEDBACK_PER_SLATE,
        "per_slate": FEEDBACK_PER_SLATE,
    }
    with connection.cursor() as cursor:
        for statement in STATEMENTS:
            cursor.execute(statement, sizes)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT count(*) FROM recommendations_feedback")
        (rows,) = cursor.fetchone()
        cursor.execute("SHOW server_version")
        (version,) = cursor.fetchone()
    touch_catalogue()
    print(describe_machine())
    print(
        f"Python {platform.python_version()}, Postgres {version}: {rows:,} rows of feedback, "
        f"{sizes['slates']:,} lists generated in {time.perf_counter() - began:.0f} s"
    )
    at = timezone.now()
    for what, act in (
        ("counting the whole month, once", lambda: count_days(at=at, budget_seconds=3600)),
        ("counting today again", lambda: count_day(at.date(), at=at)),
        ("measuring, what is slow included", lambda: measuring.measure_all(at=at, slow_too=True)),
    ):
        print(f"{what:40}{_seconds(act):8.2f} s")
    return ask_for_pages()


def ask_for_pages() -> int:
    """Ask for each page five times and print its median and its queries."""
    from statistics import median

    from django.db import connection, reset_queries
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from accounts.models import Listener, User
    from benchmarks.machine import describe_load
    from recommendations.models import Recommendation

    listener = Listener.objects.filter(recommendation__isnull=False).first()
    slate = Recommendation.objects.filter(listener=listener).first()
    pages = (
        "/analytics",
        "/analytics/system-metrics",
        "/analytics/models",
        "/analytics/listeners",
        f"/analytics/listeners/{listener.uuid}",
        f"/analytics/slates/{slate.pk}",
        f"/analytics/slates/{slate.pk}?what_if=trending",
        "/analytics/catalogue",
        "/analytics/catalogue?show=unseen",
        "/analytics/catalogue?show=bare",
        "/analytics/catalogue?q=song+77",
        "/analytics/dead-letters",
        "/analytics/audit-log",
        "/analytics/audit-log?actor=nobody",
        "/analytics/search?q=song+77",
        "/analytics/roles",
        "/analytics/definitions",
        "/analytics/ab-testing",
        "/analytics/contextual-bandits",
        "/admin/",
        "/admin/recommendations/recommendation/",
        "/admin/recommendations/feedback/?kind__exact=like",
        "/admin/recommendations/track/",
    )
    client = Client(HTTP_ACCEPT="text/html")
    client.force_login(User.objects.create_superuser("bench@example.org"))
    missed = 0
    print(f"{'page':56}{'median':>10}{'processor':>12}{'queries':>9}")
    for page in pages:
        client.get(page)  # what a process reads once
        reset_queries()  # the log of a debugging server is bounded, and full by now
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(page)
        n_queries = len(queries)  # now: the next request empties the log
        assert answer.status_code == 200, (page, answer.status_code)  # noqa: S101
        used = time.process_time()
        took = 1000 * median(_seconds(lambda p=page: client.get(p)) for _ in range(5))
        used = 1000 * (time.process_time() - used) / 5  # of Python alone; the same under any load
        is_missed = took > MOST_MS or n_queries > MOST_QUERIES
        missed += is_missed
        name = page.replace(str(listener.uuid), "…").replace(str(slate.pk), "…")
        verdict = "   missed" if is_missed else ""
        print(f"{name:56}{took:7.0f} ms{used:9.0f} ms{n_queries:9}{verdict}", flush=True)
    print(describe_load())
    return 1 if missed else 0


def _seconds(act) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
