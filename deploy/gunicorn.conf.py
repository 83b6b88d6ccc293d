"""gunicorn: threads, because a request waits for Postgres more than it computes."""

import os

worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
timeout = 30
graceful_timeout = 20
keepalive = 5
# A worker starts anew now and then, so that nothing can grow for ever; not all at once.
max_requests = 50_000
max_requests_jitter = 5_000
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 (heartbeats only)
accesslog = None
# numpy's own threads would fight with ours over the cores.
raw_env = ["OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1"]


def post_worker_init(worker) -> None:
    """Load catalogue and model before the first request, not in it."""
    from django.db import DatabaseError, connections

    from recommendations.serving import state

    try:
        state.current()
    except DatabaseError as error:
        worker.log.warning("the database does not answer yet: %s", error)
    finally:
        connections.close_all()
