"""The index with cells beside the exact scan and HNSW: recall, time, and time to build.

    python -m benchmarks.index [--tracks 1000000]

Short vectors of 32 numbers around 2,000 directions, as a learned catalogue's lie; one thread.
hnswlib is measured where it is installed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from benchmarks.machine import describe_machine
from recommendations.core.candidates import CandidateIndex

DIM, K, N = 32, 100, 3000


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=1_000_000)
    n_tracks = parser.parse_args().tracks
    rng = np.random.default_rng(0)
    groups = rng.normal(size=(2000, DIM)).astype("f4")
    tracks = groups[rng.integers(2000, size=n_tracks)]
    tracks += 0.7 * rng.normal(size=(n_tracks, DIM)).astype("f4")
    bias = (0.5 * rng.normal(size=n_tracks)).astype("f4")
    listeners = groups[rng.integers(2000, size=100)] + 0.7 * rng.normal(size=(100, DIM)).astype(
        "f4"
    )
    print(describe_machine())
    exact = CandidateIndex(tracks, np.eye(DIM, dtype="f4"), bias)
    began = time.perf_counter()
    index = exact.with_cells(np.random.default_rng(0))
    print(f"{n_tracks:,} tracks; cells built in {time.perf_counter() - began:.0f} s")
    for name, measured in (("exact scan", exact), ("cells", index)):
        times = []
        for listener in listeners:
            began = time.perf_counter()
            measured.candidates(listener, n=N)
            times.append(1000 * (time.perf_counter() - began))
        recall = measured.recall(listeners[:50], k=K, n=N)
        p50, p99 = np.percentile(times, [50, 99])
        print(f"{name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, recall@{K} {recall:.3f}")
    try:
        import hnswlib
    except ImportError:
        print("hnswlib is not installed")
        return 0
    began = time.perf_counter()
    graph = hnswlib.Index(space="ip", dim=DIM + 1)
    graph.init_index(n_tracks, ef_construction=100, M=16)
    graph.set_num_threads(1)
    graph.add_items(np.column_stack([tracks, bias]))
    print(f"hnswlib built in {time.perf_counter() - began:.0f} s")
    for ef in (K, 400, N):
        graph.set_ef(ef)
        times, found = [], []
        for listener in listeners[:50]:
            query = np.append(listener, 1.0).astype("f4")
            began = time.perf_counter()
            labels, _ = graph.knn_query(query, k=K)
            times.append(1000 * (time.perf_counter() - began))
            scores = tracks @ listener + bias
            best = np.argpartition(scores, n_tracks - K)[-K:]
            found.append(np.isin(best, labels[0]).mean())
        p50, recall = np.percentile(times, 50), np.mean(found)
        print(f"hnswlib, ef {ef}: p50 {p50:.1f} ms, recall@{K} {recall:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
