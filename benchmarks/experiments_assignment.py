"""Time of the hash and of the whole choice, without the database.

    python benchmarks/experiments_assignment.py [--listeners 200000]

The choice runs through every rule: kill switch, holdout, layer, targeting, hash, four variants.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from experiments.core.assignment import (
    ExperimentDefinition,
    Holdout,
    Targeting,
    VariantDefinition,
    Visitor,
    choose_variant,
)
from experiments.core.hashing import hash_unit

LIMIT = 50.0  # microseconds


def timed(act, arguments) -> np.ndarray:
    """Return the microseconds that `act` took for each of `arguments`."""
    took = np.empty(len(arguments))
    for index, argument in enumerate(arguments):
        start = time.perf_counter_ns()
        act(argument)
        took[index] = time.perf_counter_ns() - start
    return took / 1e3


def main() -> int:
    """Run it; exit with 1 where the median choice takes over 50 microseconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listeners", type=int, default=200_000)
    n = parser.parse_args().listeners
    rng = np.random.default_rng(0)
    units = [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(n)]
    policies = ("neural_cf", "content_based", "hybrid_ensemble", "contextual_bandit")
    experiment = ExperimentDefinition(
        key="recommendation_strategy",
        seed="recommendation_strategy",
        coverage=1.0,
        variants=tuple(VariantDefinition(policy, policy, 0.25) for policy in policies),
        layer="policy",
        targeting=Targeting(
            visitor=Visitor.RETURNING, devices=frozenset({"mobile"}), min_account_age_days=1
        ),
    )
    described = {"device": "mobile", "is_new": False, "account_age_days": 40.0}
    holdout = Holdout(share=0.05)
    hashes = timed(lambda unit: hash_unit("recommendation_strategy", unit), units)
    choices = timed(
        lambda unit: choose_variant(experiment, unit, described, holdout=holdout), units
    )
    print(f"Python {platform.python_version()}, {platform.machine()}, {n:,} listeners")
    for name, took in (("hash", hashes), ("choice", choices)):
        p50, p99 = np.percentile(took, [50, 99])
        print(
            f"{name:7} p50 {p50:6.1f} us   p99 {p99:6.1f} us   ({p50 / LIMIT:.0%} of {LIMIT:.0f})"
        )
    return 0 if np.median(choices) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
