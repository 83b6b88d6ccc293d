"""gunicorn: threads, because a request waits for Postgres more than it computes."""

import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

worker_class = "musicrec.handover.Worker"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
timeout = 30
graceful_timeout = 20
# Longer than a proxy keeps an idle connection (60 s by default at nginx and AWS): who sends the
# requests must be the first to close it, or one may be on its way while it is being closed.
keepalive = 75
# Workers start anew now and then, so that nothing can grow for ever; the old ones serve until the
# new ones can (musicrec/handover.py).
max_requests = 200_000
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 (heartbeats only)
accesslog = None
control_socket_disable = True  # the root of a container is read-only, and nobody would use it

# The counts of all workers, added up at /metrics: a folder for each life of the master.
_COUNTS = Path(tempfile.gettempdir()) / f"musicrec-counts-{os.getuid()}"
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_COUNTS / str(os.getpid()))
# numpy's own threads would fight with ours over the cores.
raw_env = ["OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1"]


SWITCH_INTERVAL = 0.001
"""Seconds that a thread may compute while another waits for the interpreter, 5 ms by default.

A request waits for Postgres and Redis three to six times, and each time it is answered its thread
waits for whichever computes; under load that takes longer than the request itself.  Less than this
takes turns from those who compute, and makes no one earlier.
"""


def on_starting(server) -> None:
    """Begin with an empty folder of counts, and remove those of masters that are gone."""
    _COUNTS.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in _COUNTS.iterdir():
        if folder.name == str(os.getpid()) or not Path(f"/proc/{folder.name}").exists():
            shutil.rmtree(folder, ignore_errors=True)
    (_COUNTS / str(os.getpid())).mkdir(mode=0o700)


def pre_fork(server, worker) -> None:
    """Say that a worker is about to start, so that the one it replaces serves until it is ready."""
    from musicrec.handover import Starting

    worker.starting = Starting(_COUNTS / str(os.getpid()))
    worker.starting.begin(worker.age)


def post_fork(server, worker) -> None:
    """Wait for its turn to load."""
    worker.turn = worker.starting.await_turn(worker.age)


def child_exit(server, worker) -> None:
    """Take a worker that ended out of the gauges; what it counted stays."""
    from prometheus_client import multiprocess

    worker.starting.end(worker.age)  # where it died on its way
    multiprocess.mark_process_dead(worker.pid)


def post_worker_init(worker) -> None:
    """Load catalogue and model before the first request, not in it; and let them be.

    They live as long as the worker, so the collector need not walk through them again and again;
    and a request makes thousands of objects that end with it, few of them in cycles.
    """
    from django.db import DatabaseError, connections

    from recommendations.serving import state

    try:
        state.current()
    except DatabaseError as error:
        worker.log.warning("the database does not answer yet: %s", error)
    finally:
        connections.close_all()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    sys.setswitchinterval(SWITCH_INTERVAL)
    worker.turn.close()
    worker.starting.end(worker.age)
