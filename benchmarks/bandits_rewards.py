"""Rewards per second that the bandit takes in, and what a decision costs a request.

    python benchmarks/bandits_rewards.py [--decisions 5000] [--workers 2]

Runs against a database of its own, created for the run and dropped after it, on the Postgres of
the settings.  Workers are processes; each reward is a transaction of its own, as a worker that
closes an outbox row makes it, while a fold runs once a second beside them.  At the end every
decision is replayed and the posteriors are compared with the closed form.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "musicrec.settings")
os.environ.setdefault("DJANGO_SECRET_KEY", "a secret for benchmarks only")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import django
import numpy as np

KEY = "recommendation_strategy"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def decide(n: int) -> tuple[list[uuid.UUID], list[float]]:
    """Take and record `n` decisions, one transaction each; return their ids and milliseconds."""
    from bandits import services
    from bandits.core.context import Context

    rng = np.random.default_rng(0)
    arms = ["neural_cf", "content_based", "hybrid_ensemble", "trending", "discovery"]
    requests, took = [], []
    for number in range(n):
        at = NOW + timedelta(milliseconds=10 * number)  # 100 requests a second
        context = Context(
            local_time=at.replace(tzinfo=None), device="mobile", mean_preference=rng.random()
        )
        request = uuid.UUID(bytes=rng.bytes(16), version=4)
        start = time.perf_counter()
        choice = services.choose(KEY, request_id=request, context=context, eligible=arms, at=at)
        services.record_decision(choice, listener=None, at=at)
        took.append(1e3 * (time.perf_counter() - start))
        requests.append(request)
    return requests, took


def credit(requests: list[uuid.UUID], seed: int) -> None:
    """Credit each request twice: a provisional reward and its correction."""
    django.setup()
    from bandits import services

    rng = np.random.default_rng(seed)
    for final in (False, True):
        for request in requests:
            services.credit(request_id=request, reward=float(rng.random()), at=NOW, final=final)


def main() -> int:
    """Run it; exit with 1 below 500 rewards a second, over 2 ms, or if anything is untrue."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--decisions", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    django.setup()
    from django.conf import settings
    from django.db import connection, connections

    from bandits import services
    from bandits.models import Bandit

    real = settings.DATABASES["default"]["NAME"]
    name = connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        requests, took = decide(arguments.decisions)
        took.sort()
        p50, p99 = took[len(took) // 2], took[int(0.99 * len(took))]
        print(f"choose and record: p50 {p50:.2f} ms, p99 {p99:.2f} ms, commit included")
        bandit = Bandit.objects.get(key=KEY)
        connections.close_all()
        workers = [
            multiprocessing.get_context("fork").Process(
                target=credit, args=(requests[n :: arguments.workers], n)
            )
            for n in range(arguments.workers)
        ]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        folding, next_fold = [], start + 1
        while any(worker.is_alive() for worker in workers):
            if time.perf_counter() >= next_fold:
                begun = time.perf_counter()
                services.fold(bandit, at=NOW)
                folding.append(time.perf_counter() - begun)
                next_fold = max(next_fold + 1, begun)
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        rate = 2 * len(requests) / seconds
        slowest = max(folding, default=0.0)
        print(
            f"{2 * len(requests)} rewards by {arguments.workers} workers in {seconds:.1f} s: "
            f"{rate:.0f} a second beside {len(folding)} folds, the slowest {slowest:.2f} s"
        )
        while services.fold(bandit, at=NOW):
            pass
        found = services.verify(bandit, at=NOW)
        print(
            f"{found.decisions} decisions replayed, {found.n_mismatches} wrong; posterior within "
            f"{found.largest_deviation:.1e} of the closed form"
        )
        failed = any(worker.exitcode for worker in workers)
        return 0 if rate >= 500 and p50 <= 2 and found.is_clean and not failed else 1
    finally:
        connections.close_all()
        settings.DATABASES["default"]["NAME"] = name
        connection.creation.destroy_test_db(real, verbosity=0)


if __name__ == "__main__":
    sys.exit(main())
