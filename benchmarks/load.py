"""Many listeners at once, more than the machine can serve, for long, and beside a bare read.

    make bench-load [SHORT=1]
    python -m benchmarks.load [--short] [--only PART[,PART]] [--keep]

Everything runs on this machine: Postgres, Redis, web, worker, schedule and the crowd (locust, in a
virtual environment of its own).  Each figure is printed with the load average before the part; the
bounds are asked of a quiet machine.  Ends with 1 where one is missed.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.machine import describe_load, describe_machine, memory_of
from benchmarks.main_job import Figure, print_figures
from benchmarks.stand import ROOT, Stand, Web
from benchmarks.web import Client, wishes

PARTS = ("bare", "single", "listeners", "overload", "soak")
LOCUST = ROOT / "var" / "bench-load" / "bin" / "locust"
N_LISTENERS = 1000
N_ROUNDS = 20
N_EAGER = 30
"""Listeners who ask for more than can be served, and none for more than the limits allow."""

COMING_SECONDS = 25
"""In which a whole crowd comes: within the half minute of which no latency is taken.  The first
list of each costs more than the next."""


@dataclass(frozen=True)
class Plan:
    """How long and how many.

    Attributes:
        listeners: at once, in the part of that name.
        seconds: of each part.
    """

    listeners: int
    seconds: dict[str, float]


FULL = Plan(1000, {"bare": 40, "single": 20, "listeners": 600, "overload": 60, "soak": 1800})
SHORT = Plan(100, {"bare": 10, "single": 5, "listeners": 45, "overload": 20, "soak": 60})

PREPARE = """
import sys
import django
django.setup()
from django.utils import timezone
from accounts.models import Listener, User
from accounts.services import issue_token
from recommendations.services.demo import load_demo
at = timezone.now()
load_demo(at=at, n_listeners=int(sys.argv[2]))
with open(sys.argv[1], "w") as tokens:
    for listener in Listener.objects.order_by("pk"):
        listener.user = User.objects.create_user(f"load-{listener.pk}@bench.invalid")
        listener.save(update_fields=["user"])
        print(issue_token(user=listener.user, name="load", at=at), file=tokens)
"""


class Load:
    """One installation of listeners with half a year behind them, and what is asked of it.

    Args:
        folder: where it lives.
        plan: what for.
        console: where to say what is being done.
        keep: whether to go on with what the run before left there.  Its responses and lists make
            each request a little dearer, so that runs are only alike from the beginning.
    """

    def __init__(self, folder: Path, plan: Plan, console: Console, *, keep: bool) -> None:
        self.plan, self.console = plan, console
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        self.stand = Stand(folder)
        self.stand.prepare()
        self.tokens_file = folder / "tokens"
        if not self.tokens_file.exists():
            console.print("making listeners and training")
            made = folder / "tokens.new"
            self.stand.python("-c", PREPARE, str(made), str(N_LISTENERS))
            self.stand.manage("train")
            self._tidy()
            made.rename(self.tokens_file)
        self.tokens = self.tokens_file.read_text().split()
        self.capacity = 0.0

    def measure(self, part: str, web: Web) -> list[Figure]:
        """Return the figures of a part."""
        self._settle()
        self.console.print(f"{part}: {describe_load()}")
        return getattr(self, f"_{part}")(web, self.plan.seconds[part])

    # -- parts -------------------------------------------------------------------------------

    def _bare(self, web: Web, seconds: float) -> list[Figure]:
        """Throughput of /recommend beside that of reads of one row, all from four connections.

        In turns, for the machine's own speed changes within minutes.
        """
        asked = (("POST", "/bare"), ("GET", "/bare/view"), ("POST", "/recommend"))
        rounds = [
            [self._throughput(web, *one, seconds / N_ROUNDS) for one in asked]
            for _ in range(N_ROUNDS)
        ]
        bare, view, own = np.mean(rounds, axis=0)
        return [
            Figure("bare", "a bare read as a view of the application, a second", view),
            Figure("bare", "the same without the application, a second", bare),
            Figure("bare", "/recommend a second", own),
            Figure("bare", "/recommend beside the view", own / view, least=0.5),
            Figure("bare", "/recommend beside the read alone", own / bare),
        ]

    def _single(self, web: Web, seconds: float) -> list[Figure]:
        with ExitStack() as stack:
            client = Client(web, self.tokens[:40], stack)
            until = time.monotonic() + seconds
            times, n = [], 0
            while time.monotonic() < until or n < 200:
                _, milliseconds = client.post("/recommend", wishes(n), n)
                times.append(milliseconds)
                n += 1
        return [
            Figure("single", "/recommend p50", float(np.percentile(times[60:], 50)), "ms"),
            Figure("single", "/recommend p99", float(np.percentile(times[60:], 99)), "ms", most=30),
        ]

    def _listeners(self, web: Web, seconds: float) -> list[Figure]:
        rows = self._crowd(web, users=self.plan.listeners, pace="5,10", seconds=seconds)
        errors = [row[0] - rows[0][0] for row in rows if row[2] not in (200, 201)]
        if errors:
            self.console.print(f"errors after {sorted({round(moment) for moment in errors})} s")
        begin = rows[0][0] + min(30.0, seconds / 3)
        rows = [row for row in rows if row[0] >= begin]  # once all have come
        times = [row[3] for row in rows]
        return [
            Figure("listeners", "at once", self.plan.listeners),
            Figure("listeners", "requests a second", len(rows) / (rows[-1][0] - rows[0][0])),
            Figure("listeners", "errors, also while they come", len(errors), most=0),
            Figure("listeners", "p95", float(np.percentile(times, 95)), "ms", most=120),
            Figure("listeners", "p99", float(np.percentile(times, 99)), "ms", most=250),
        ]

    def _overload(self, web: Web, seconds: float) -> list[Figure]:
        """Four times what it can do; no listener asks more often than the limits allow."""
        capacity = self._known_capacity(web)
        users = min(N_LISTENERS, round(4 * capacity))
        rows = self._crowd(web, users=users, pace=str(users / (4 * capacity)), seconds=seconds)
        # The crowd is gone when its last request was answered, not when locust has wound up.
        ended = max(row[0] + row[3] / 1000 for row in rows)
        served = [row[3] for row in rows if row[2] in (200, 201)]
        turned = [row for row in rows if row[2] in (429, 503)]
        all_there = rows[0][0] + min(20.0, seconds / 2)
        late = [row[0] for row in rows if row[0] >= all_there]
        offered = len(late) / (late[-1] - late[0])
        normal = self._until_normal(web) - ended
        statuses = dict(Counter(row[2] for row in rows))
        self.console.print(f"capacity {capacity:.0f}/s, asked for {offered:.0f}/s: {statuses}")
        other = len(rows) - len(served) - len(turned)
        return [
            Figure("overload", "asked for, times the capacity", offered / capacity),
            Figure("overload", "served a second", len(served) / seconds),
            Figure("overload", "neither served nor 429 nor 503", other, most=0),
            Figure("overload", "429 or 503 without Retry-After",
                   sum(not row[4] for row in turned), most=0),
            Figure("overload", "served, p99", float(np.percentile(served, 99)), "ms", most=1000),
            Figure("overload", "normal again after", normal, "s", most=10),
        ]  # fmt: skip

    def _soak(self, web: Web, seconds: float) -> list[Figure]:
        capacity = self._known_capacity(web)
        users = max(1, round(0.6 * capacity * 7.5))
        samples: list[tuple[float, int]] = []
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(max(1.0, seconds / 60)):
                memory = sum(memory_of(pid).proportional for pid in web.workers)
                samples.append((memory, self._connections()))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        rows = self._crowd(web, users=users, pace="5,10", seconds=seconds)
        stop.set()
        watcher.join()
        third = max(1, len(samples) // 3)
        early = float(np.median([memory for memory, _ in samples[third : 2 * third]]))
        late = float(np.median([memory for memory, _ in samples[2 * third :]]))
        before = max(n for _, n in samples[: 2 * third])
        after = max(n for _, n in samples[2 * third :])
        return [
            Figure("soak", "listeners, for 60 % of the capacity", users),
            Figure("soak", "errors", sum(row[2] not in (200, 201) for row in rows), most=0),
            Figure("soak", "memory, last third above the one before", 100 * (late / early - 1), "%",
                   most=5),
            Figure("soak", "connections to Postgres, growth", after - before, most=0),
        ]  # fmt: skip

    def _until_normal(self, web: Web) -> float:
        """Return the time of day at which ten lists in a row came in a tenth of a second each."""
        deadline = time.monotonic() + 60
        quick = 0
        with ExitStack() as stack:
            client = Client(web, self.tokens[-40:], stack)
            began = time.time()
            while quick < 10 and time.monotonic() < deadline:
                began = began if quick else time.time()
                try:
                    _, milliseconds = client.post("/recommend", wishes(quick), quick)
                except RuntimeError:  # turned away
                    milliseconds = math.inf
                quick = quick + 1 if milliseconds <= 100 else 0
        return began if quick else math.inf

    # -- tools -------------------------------------------------------------------------------

    def _known_capacity(self, web: Web) -> float:
        """Return what it serves a second, at most, to the crowd of the other parts."""
        if not self.capacity:
            rows = self._crowd(web, users=N_EAGER, pace="0.1", seconds=20)
            begin = rows[0][0] + 5  # once all have come
            served = [row[0] for row in rows if row[0] >= begin and row[2] in (200, 201)]
            self.capacity = len(served) / (served[-1] - served[0])
            self.console.print(f"capacity: {self.capacity:.0f} a second")
            self._settle()
        return self.capacity

    def _throughput(self, web: Web, method: str, path: str, seconds: float) -> float:
        """Return the successes a second of four clients who ask again at once.

        Each speaks for listeners of its own, who have been here before, and none of whom comes near
        the limit on requests.
        """
        counts = [0] * 4
        each = 25

        def ask(slot: int) -> None:
            tokens = self.tokens[slot * each : (slot + 1) * each]
            payload = json.dumps(wishes(0)) if method == "POST" else None
            connection = http.client.HTTPConnection("127.0.0.1", web.port)
            until = None
            with closing(connection):
                for number, token in enumerate(itertools.cycle(tokens)):
                    if number == each:
                        warm.wait()
                        until = time.monotonic() + seconds
                    if until and time.monotonic() >= until:
                        return
                    headers = {"Authorization": f"Bearer {token}"}
                    if payload:
                        headers["Content-Type"] = "application/json"
                    connection.request(method, path, payload, headers)
                    answer = connection.getresponse()
                    answer.read()
                    counts[slot] += until is not None and answer.status == 200

        warm = threading.Barrier(len(counts))
        threads = [threading.Thread(target=ask, args=(slot,)) for slot in range(len(counts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / seconds

    def _crowd(self, web: Web, *, users: int, pace: str, seconds: float) -> list[list[Any]]:
        """Return a row for each request of a locust run, in order of time."""
        out = self.stand.folder / f"requests-{users}-{pace}.jsonl"
        out.unlink(missing_ok=True)
        command = [
            *(str(LOCUST), "-f", str(ROOT / "benchmarks" / "locustfile.py"), "--headless"),
            *("-u", str(users), "-r", str(max(10, users // COMING_SECONDS))),
            *("-t", f"{seconds:.0f}s"),
            *("--host", f"http://127.0.0.1:{web.port}", "--only-summary", "--stop-timeout", "30"),
        ]
        env = {
            "PATH": os.environ["PATH"],
            "LOAD_TOKENS": str(self.tokens_file),
            "LOAD_OUT": str(out),
            "LOAD_PACE": pace,
        }
        with (self.stand.folder / "locust.log").open("w") as log:
            subprocess.run(  # noqa: S603 (our own command)
                command, env=env, stdout=log, stderr=subprocess.STDOUT, check=False
            )
        rows = sorted(json.loads(line) for line in out.read_text().splitlines())
        if not rows:
            raise RuntimeError((self.stand.folder / "locust.log").read_text()[-2000:])
        return rows

    def _connections(self) -> int:
        with self._database() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = 'musicrec'")
            return int(cursor.fetchone()[0])

    def _tidy(self) -> None:
        """Do at once what vacuum does along the way for rows that do not all come at once."""
        with self._database() as cursor:
            cursor.execute("VACUUM (ANALYZE)")

    def _settle(self) -> None:
        """Wait until what was done before has taken effect, two minutes at most."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with self._database() as cursor:
                cursor.execute("SELECT FROM recommendations_outboxevent WHERE closed_at IS NULL")
                if not cursor.rowcount:
                    return
            time.sleep(1)

    @contextmanager
    def _database(self):
        import psycopg2

        with closing(psycopg2.connect(self.stand.env["DATABASE_URL"])) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor

    @contextmanager
    def helpers(self):
        """Run a worker and the schedule beside, as `make run` does."""
        celery = [sys.executable, "-m", "celery", "--quiet", "-A", "musicrec"]
        quiet = ["--loglevel", "warning"]
        commands = (
            ["nice", "-n", "5", *celery, "worker", "-Q", "default", "--concurrency", "1", *quiet],
            [*celery, "beat", "--pidfile=", *quiet],
        )
        processes = []
        try:
            for number, command in enumerate(commands):
                with (self.stand.folder / f"celery-{number}.log").open("w") as log:
                    processes.append(
                        subprocess.Popen(  # noqa: S603 (our own command)
                            command, env=self.stand.env, cwd=ROOT, stdout=log,
                            stderr=subprocess.STDOUT,
                        )
                    )  # fmt: skip
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(30)


def main() -> int:
    """Measure; 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="minutes instead of an hour")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--keep", action="store_true", help="go on with the run before's data")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # stop what was started
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    console = Console()
    console.print(describe_machine())
    if not LOCUST.exists():
        console.print("locust is missing; make bench-load installs it")
        return 1
    plan = SHORT if options.short else FULL
    load = Load(ROOT / "var" / "bench" / "load", plan, console, keep=options.keep)
    figures: list[Figure] = []
    with load.stand.web("benchmarks.bare") as web, load.helpers():
        for part in [part for part in PARTS if part in parts]:
            measured = load.measure(part, web)
            print_figures(console, measured)  # at once: what comes may be interrupted
            figures += measured
    return 1 if any(figure.verdict == "MISSED" for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
