"""What lists and responses leave behind: bytes in Postgres, in Redis, and a worker's time for each.

    python -m benchmarks.storage [--listeners 400]

Each listener asks for ten lists of ten tracks and gives five responses, by the services that
requests use, on an embedded Postgres; then a worker's work is done in one process.  Bytes are those
of tables with their indexes, divided by the rows: with all that updates left dead, and packed.
Tables that are updated often lie between the two once they have been vacuumed for a while.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from benchmarks.stand import ROOT, Stand

LISTS, RESPONSES = 10, 5

_MEASURE = """
import json, sys, time
import django
django.setup()
import redis
from datetime import timedelta
from django.conf import settings
from django.db import connection
from django.utils import timezone
from accounts.models import Listener
from bandits import tasks as bandit_tasks
from musicrec.limits import Counts
from recommendations.models import OutboxEvent, Track
from recommendations.services import effects
from recommendations.services.feedback import record_feedback
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes

n_listeners, n_lists, n_responses = map(int, sys.argv[1:4])
listeners = Listener.objects.bulk_create(
    Listener(external_id=f"listener-{n}", is_simulated=True) for n in range(n_listeners))
tracks = Track.objects.in_bulk()

def sizes(how="VACUUM ANALYZE"):
    with connection.cursor() as cursor:
        cursor.execute(how)
        cursor.execute("SELECT tablename, pg_total_relation_size(tablename::regclass) "
                       "FROM pg_tables WHERE schemaname = 'public'")
        bytes_of = dict(cursor.fetchall())
        rows = {}
        for table in bytes_of:
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            rows[table] = cursor.fetchone()[0]
    return bytes_of, rows

before, rows_before = sizes()
for number in range(n_lists):
    for listener in listeners:
        answer = recommend(listener=listener, wishes=Wishes(n=10), at=timezone.now())
        if number < n_responses:
            slate = answer.recommendation
            track = tracks[slate.tracks[number]]
            record_feedback(listener=listener, track=track, kind="rating", rating=1 + number % 5,
                            recommendation=slate, at=timezone.now())
events = OutboxEvent.objects.open().count()
began, cpu = time.perf_counter(), time.process_time()
while effects.drain_outbox(at=timezone.now()):
    pass
wall, cpu = time.perf_counter() - began, time.process_time() - cpu
bandit_tasks.fold_rewards()
assert not OutboxEvent.objects.open().exists()
after, rows_after = sizes()
packed, _ = sizes("VACUUM FULL")
tables = {
    table: {"rows": rows_after[table] - rows_before.get(table, 0),
            "bytes": after[table] - before.get(table, 0),
            "packed": packed[table] - before.get(table, 0)}
    for table in after
    if rows_after[table] - rows_before.get(table, 0) >= n_listeners / 2
}
client = redis.Redis.from_url(settings.REDIS_URL)
used = client.info("memory")["used_memory"]
counts = Counts(settings.REDIS_URL)
for n in range(20_000):
    counts.take(f"{n:032x}", limit=600)
print(json.dumps({
    "tables": tables, "events": events, "wall": wall, "cpu": cpu,
    "redis": used, "redis_per_caller": (client.info("memory")["used_memory"] - used) / 20_000,
}))
"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listeners", type=int, default=400)
    n = parser.parse_args().listeners
    folder = ROOT / "var" / "bench" / "storage"
    shutil.rmtree(folder, ignore_errors=True)
    stand = Stand(folder)
    stand.manage("migrate", "--verbosity", "0")
    stand.manage("import_tracks", str(ROOT / "recommendations" / "demo" / "tracks.csv"))
    done = stand.python("-c", _MEASURE, str(n), str(LISTS), str(RESPONSES))
    found = json.loads(done.output.splitlines()[-1])
    console = Console(width=110, highlight=False)
    console.print(describe_machine())
    table = Table("table", "rows", "bytes a row", "packed", "rows of a listener", box=MARKDOWN)
    for name, size in sorted(found["tables"].items(), key=lambda item: -item[1]["bytes"]):
        table.add_row(
            name,
            f"{size['rows']:,}",
            f"{size['bytes'] / size['rows']:,.0f}",
            f"{size['packed'] / size['rows']:,.0f}",
            f"{size['rows'] / n:.1f}",
        )
    console.print(table)
    events = found["events"]
    console.print(
        f"{events:,} effects in {found['wall']:.1f} s by one worker: "
        f"{1000 * found['wall'] / events:.2f} ms each, "
        f"{1000 * found['cpu'] / events:.2f} ms of its processor\n"
        f"Redis: {found['redis'] / 1e6:.1f} MB with nothing to do, "
        f"{found['redis_per_caller']:.0f} bytes for each caller of the last two minutes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
