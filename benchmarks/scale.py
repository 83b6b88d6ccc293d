"""How time and memory of each part grow with listeners, tracks and feedback: fitted exponents.

    make bench-scale        or    python -m benchmarks.scale [--sizes 0.01,0.1] [--only PART]

Size 1 is 100,000 listeners, 100,000 tracks and 5,000,000 rows of feedback; the data is generated
(tracks by a power law, as listening is; four tastes, so that there is something to learn).  Each
part runs in a process of its own on an embedded Postgres.  An exponent of 1 means that twice the
feedback takes twice as long; it is fitted by least squares to logarithms, once of the time on the
clock, which a busy machine changes, and once of the part's own processor time, which leaves out
what Postgres computes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.machine import MEGABYTE, describe_load, describe_machine
from benchmarks.stand import ROOT, Stand

LISTENERS, TRACKS, FEEDBACK = 100_000, 100_000, 5_000_000

_GENERATE = """
import sys
import django
django.setup()
from django.db import connection, models
from django.utils import timezone
from accounts.models import Listener
from experiments.models import Exposure, Phase, Variant
from recommendations.models import Artist, Feedback, Genre, Track
from recommendations.services.catalogue import touch_catalogue

n_listeners, n_tracks, n_feedback = map(int, sys.argv[1:4])

def insert(model, source, **expressions):
    "INSERT of a SELECT; columns that are not named get the model's default."
    columns, values, parameters = [], [], []
    for field in model._meta.concrete_fields:
        if field.name in expressions:
            columns.append(field.column)
            values.append(expressions[field.name])
        elif not (field.primary_key or field.null or field.generated or field.has_db_default()):
            columns.append(field.column)
            values.append("%s")
            if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
                value = timezone.now()
            elif isinstance(field, models.BooleanField) and not field.has_default():
                value = False
            else:
                value = field.get_default()
            parameters.append(field.get_db_prep_save(value, connection))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) "
            f"SELECT {', '.join(values)} {source}", parameters)

insert(Genre, "FROM generate_series(1, 4) g", name="'genre ' || g")
insert(Artist, f"FROM generate_series(1, {max(n_tracks // 10, 4)}) g", name="'Artist ' || g")
with connection.cursor() as cursor:
    cursor.execute("SELECT min(id) FROM recommendations_artist")
    (artist,) = cursor.fetchone()
    cursor.execute("SELECT min(id) FROM recommendations_genre")
    (genre,) = cursor.fetchone()
insert(Track, f"FROM generate_series(1, {n_tracks}) g",
       track_id="'track_' || g", name="'Track ' || g",
       artist=f"{artist} + g %% {max(n_tracks // 10, 4)}", energy="(g %% 4) / 4.0",
       valence="random()", danceability="random()", duration_ms="200000")
with connection.cursor() as cursor:
    cursor.execute("SELECT min(id) FROM recommendations_track")
    (track,) = cursor.fetchone()
    cursor.execute("INSERT INTO recommendations_track_genres (track_id, genre_id) "
                   f"SELECT id, {genre} + (id - {track}) %% 4 FROM recommendations_track", [])
insert(Listener, f"FROM generate_series(1, {n_listeners}) g",
       uuid="gen_random_uuid()", is_simulated="true", external_id="'listener-' || g",
       created_at="now() - interval '60 days'")
with connection.cursor() as cursor:
    cursor.execute("SELECT min(id) FROM accounts_listener")
    (listener,) = cursor.fetchone()
# A listener has one of four tastes and hears its tracks four times out of five.
insert(Feedback,
       f"FROM (SELECT g, {listener} + g %% {n_listeners} AS l, random() AS a, random() AS b "
       f"      FROM generate_series(1, {n_feedback}) g) s, "
       f"LATERAL (SELECT least({n_tracks // 4} - 1, floor({n_tracks // 4} * power(s.a, 3)))::int "
       "AS r, CASE WHEN s.b < 0.8 THEN s.l %% 4 ELSE floor(s.b * 20)::int %% 4 END AS t) c",
       event_id="'e' || s.g", listener="s.l", track=f"{track} + 4 * c.r + c.t",
       kind="'rating'", rating="CASE WHEN s.b < 0.8 THEN 4 + s.g %% 2 ELSE 1 + s.g %% 3 END",
       preference="(CASE WHEN s.b < 0.8 THEN 3 + s.g %% 2 ELSE s.g %% 3 END) / 4.0",
       occurred_at="now() - random() * interval '30 days'", received_at="now()")
phase = Phase.objects.order_by("pk").last()
variants = list(Variant.objects.filter(experiment=phase.experiment).values_list("pk", flat=True))
insert(Exposure, "FROM accounts_listener l", phase=str(phase.pk), listener="l.id",
       variant=f"(ARRAY{variants})[1 + l.id %% {len(variants)}]",
       exposed_at="now() - interval '30 days'", segment="'new/desktop'", served_policy="'x'",
       history_settled="true")
touch_catalogue()
with connection.cursor() as cursor:
    cursor.execute("ANALYZE")
"""

_MORE_LISTENERS = """
INSERT INTO accounts_listener (uuid, country, time_zone, is_simulated, created_at)
SELECT gen_random_uuid(), '', '', true, now() FROM generate_series(1, %s)
"""

_SNAPSHOT = """
import django
django.setup()
from recommendations.services.snapshot import take_snapshot
print(take_snapshot().describe())
"""

_REQUESTS = """
import json, sys, time
import django
django.setup()
import numpy as np
from django.utils import timezone
from django.db import connection
from accounts.models import Listener
from recommendations.serving import state
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
if int(sys.argv[1]):
    with connection.cursor() as cursor:
        cursor.execute(sys.argv[2], [int(sys.argv[1])])
        cursor.execute("ANALYZE accounts_listener")
began = time.perf_counter()
state.current()
loading = time.perf_counter() - began
listeners = list(Listener.objects.select_related("preferences").order_by("pk")[:40])
times, spent = [], []
for n in range(240):
    began, cpu = time.perf_counter(), time.process_time()
    recommend(listener=listeners[n % 40], wishes=Wishes(n=10), at=timezone.now())
    times.append(1000 * (time.perf_counter() - began))
    spent.append(1000 * (time.process_time() - cpu))
print(json.dumps({"loading": loading, "p50": float(np.percentile(times[80:], 50)),
    "p99": float(np.percentile(times[80:], 99)), "cpu": float(np.mean(spent[80:]))}))
"""

PARTS = ("generate", "snapshot", "recompute", "rollup", "training", "requests")


def measure(size: float, parts: list[str], folder: Path, console: Console) -> dict[str, dict]:
    """Return seconds, processor seconds and peak megabytes of each part at a size."""
    shutil.rmtree(folder, ignore_errors=True)
    stand = Stand(folder)
    stand.manage("migrate", "--verbosity", "0")
    n = [max(40, round(size * full)) for full in (LISTENERS, TRACKS, FEEDBACK)]
    commands = {
        "generate": lambda: stand.python("-c", _GENERATE, *map(str, n)),
        "snapshot": lambda: stand.python("-c", _SNAPSHOT),
        "recompute": lambda: stand.manage("experiment", "recompute"),
        "rollup": lambda: stand.manage("experiment", "rollup"),
        "training": lambda: stand.manage("train"),
    }
    found: dict[str, dict] = {}
    for part, command in commands.items():
        if part not in parts and part != "generate":
            continue
        load = describe_load()
        try:
            done = command()
        except RuntimeError as error:
            if part == "generate":
                raise
            # The other parts took up to an hour: they are worth having.
            console.print(f"size {size:g}, {part}: {error}")
            continue
        found[part] = {
            "seconds": done.seconds,
            "processor": done.processor,
            "memory": done.peak / MEGABYTE,
        }
        console.print(f"size {size:g}, {part}: {done.seconds:.1f} s ({load})")
    if "requests" in parts:
        for name, more in (("requests", 0), ("requests, 10 x listeners", 9 * n[0])):
            done = stand.python("-c", _REQUESTS, str(more), _MORE_LISTENERS)
            figures = json.loads(done.output.splitlines()[-1])
            found[name] = {
                "seconds": figures["p50"] / 1000,
                "p99": figures["p99"] / 1000,
                "processor": figures["cpu"] / 1000,
                "memory": done.peak / MEGABYTE,
                "loading": figures["loading"],
            }
            console.print(f"size {size:g}, {name}: {figures} ({describe_load()})")
    return found


def exponent(sizes: list[float], values: list[float]) -> float | None:
    """Return b of value = a * size^b by least squares on logarithms; None for a single size."""
    if len(sizes) < 2:
        return None
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-6)), 1)[0])


def main() -> int:
    """Measure and print; 1 where a part failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="0.01,0.1,1")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    options = parser.parse_args()
    sizes = sorted(float(size) for size in options.sizes.split(","))
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    console = Console(width=120, highlight=False)
    console.print(describe_machine())
    results = {}
    for size in sizes:
        folder = ROOT / "var" / "bench" / f"scale-{size:g}"
        results[size] = measure(size, parts, folder, console)
    table = Table(
        "part", "size", "wall", "processor", "peak memory",
        "exponent of wall", "of processor", "of memory",
        box=MARKDOWN,
    )  # fmt: skip
    for part in results[sizes[0]]:
        have = [size for size in sizes if part in results[size]]
        fits = [
            exponent(have, [results[size][part][what] for size in have])
            for what in ("seconds", "processor", "memory")
        ]
        for size in have:
            row = results[size][part]
            told = [f"{fit:.2f}" if fit and size == have[-1] else "" for fit in fits]
            unit, scale = ("ms", 1000) if part.startswith("requests") else ("s", 1)
            table.add_row(
                part,
                f"{size:g}",
                f"{row['seconds'] * scale:,.1f} {unit}",
                f"{row['processor'] * scale:,.1f} {unit}",
                f"{row['memory']:,.0f} MB",
                *told,
            )
    console.print(table)
    return 0 if all(set(found) >= set(parts) for found in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
