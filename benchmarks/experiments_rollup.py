"""Seconds per metric of the roll-up, and of the pages that read it.

    python benchmarks/experiments_rollup.py [--listeners 1000000]

Generates listeners, exposures over 30 days, four variants and twelve segments, and totals of
three metrics (a ratio with history, a mean capped at a percentile, a proportion), in a database
of its own that is dropped afterwards, on the Postgres of the settings.

Where Postgres runs on this machine its processor time is told beside: on a busy machine that is
the figure to look at.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.machine import use_test_client

use_test_client()

import django  # noqa: E402 - same

START = datetime(2026, 5, 1, tzinfo=UTC)
NOW = START + timedelta(days=40)
LIMIT = 2.0  # seconds a metric
PAGE_LIMIT = 0.3
METRICS = ("mean_rating", "distinct_artists", "return_7d")

LISTENERS = """
INSERT INTO accounts_listener (uuid, country, time_zone, is_simulated, created_at)
SELECT gen_random_uuid(), '', '', true, %s FROM generate_series(1, %s)
"""
EXPOSURES = """
INSERT INTO experiments_exposure (phase_id, listener_id, variant_id, exposed_at, segment,
                                  served_policy, fallback, multiple, history_settled)
SELECT %s, l.id, (%s::bigint[])[1 + (l.id * 7919 %% 4)], %s + random() * interval '30 days',
       (ARRAY['new', 'returning'])[1 + (l.id %% 2)] || '/' ||
       (ARRAY['desktop', 'mobile', 'tablet', 'speaker', 'car', 'tv'])[1 + (l.id %% 6)],
       'x', random() < 0.01, false, true
FROM accounts_listener l
"""
TOTALS = """
INSERT INTO experiments_listenertotal (exposure_id, metric_id, phase_id, variant_id, exposed_at,
    segment, numerator, denominator, pre_numerator, pre_denominator)
SELECT e.id, m.id, e.phase_id, e.variant_id, e.exposed_at, e.segment,
       CASE WHEN m.kind = 'proportion' THEN (random() < 0.4)::int
            ELSE floor(random() * 40) END,
       CASE WHEN m.kind = 'ratio' THEN 10 + floor(random() * 3) ELSE 0 END,
       floor(random() * 40), CASE WHEN m.kind = 'ratio' THEN 10 ELSE 0 END
FROM experiments_exposure e CROSS JOIN experiments_metric m WHERE m.key = ANY(%s)
"""


def main() -> int:
    """Run it; exit with 1 where a metric takes over 2 s, or a page over 300 ms."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listeners", type=int, default=1_000_000)
    n = parser.parse_args().listeners
    django.setup()
    from django.conf import settings
    from django.db import connection, connections

    own = settings.DATABASES["default"]["NAME"]
    # A name of its own: tests may run beside it.
    connection.settings_dict["TEST"]["NAME"] = "benchmark_experiments"
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        return measure(n)
    finally:
        connections.close_all()
        connection.creation.destroy_test_db(own, verbosity=0)


def measure(n: int) -> int:
    """Generate, roll up and read; print the figures and return the exit status."""
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from accounts.models import User
    from experiments.models import CohortMoments, Experiment, Metric
    from experiments.services.cohorts import count_exposures, roll_up_metric
    from experiments.services.judging import judge_phase

    experiment = Experiment.objects.get(key="recommendation_strategy")
    phase = experiment.phases.get()
    phase.started_at = START
    phase.save()
    variants = list(experiment.variants.values_list("pk", flat=True))
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(LISTENERS, [START, n])
        cursor.execute(EXPOSURES, [phase.pk, variants, START])
        cursor.execute(TOTALS, [list(METRICS)])
        cursor.execute("VACUUM ANALYZE experiments_exposure")
        cursor.execute("VACUUM ANALYZE experiments_listenertotal")
        cursor.execute("SHOW server_version")
        (version,) = cursor.fetchone()
    print(
        f"Python {platform.python_version()}, Postgres {version}, {os.cpu_count()} cores, "
        f"load average {os.getloadavg()[0]:.1f}; "
        f"{n:,} listeners generated in {time.perf_counter() - began:.0f} s"
    )
    print(f"counting exposures  {_seconds(lambda: count_exposures(phase, as_of=NOW)):16.2f} s")
    with connection.cursor() as cursor:
        scan = "SELECT sum(numerator) FROM experiments_listenertotal WHERE metric_id > 0"
        bare = min(_seconds(lambda: cursor.execute(scan)) for _ in range(2))
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
        cursor.execute("SET max_parallel_workers_per_gather = 0")  # so that one process is it all
    print(f"one sum over the table, to compare with {bare:.2f} s")
    slowest = 0.0
    for key in METRICS:
        metric = Metric.objects.get(key=key)
        before = _processor_seconds(backend)
        took = min(_seconds(lambda m=metric: roll_up_metric(phase, m, as_of=NOW)) for _ in range(2))
        worked = (_processor_seconds(backend) - before) / 2
        slowest = max(slowest, took)
        rows = CohortMoments.objects.filter(metric=metric).count()
        told = f"{took / bare:.1f} bare sums, {worked:.2f} s of Postgres's processor time"
        print(f"{key:18} {metric.kind:11} {took:5.2f} s  ({told})  -> {rows:,} rows")
    print(f"judging             {_seconds(lambda: judge_phase(phase, at=NOW)):16.2f} s")
    call_command("collectstatic", interactive=False, verbosity=0)
    client = Client()
    client.force_login(User.objects.create_superuser("bench@example.org"))
    page = 0.0
    for address in ("/analytics/ab-testing", "/analytics/ab-testing?experiment=" + experiment.key):
        took = min(_seconds(lambda a=address: _page(client, a)) for _ in range(3))
        page = max(page, took)
        print(f"{address:60} {1e3 * took:6.0f} ms")
    return 0 if slowest < LIMIT and page < PAGE_LIMIT else 1


def _page(client, address: str) -> None:
    answer = client.get(address, HTTP_ACCEPT="text/html")
    assert answer.status_code == 200, (address, answer.status_code)  # noqa: S101


def _seconds(act) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def _processor_seconds(pid: int) -> float:
    """Return what a process of this machine has used; NaN where it is not on this machine."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
