"""The Celery application: queues ``default`` and ``training``, schedule in the database."""

import os
from typing import Any

from celery import Celery
from celery.signals import (
    setup_logging,
    task_prerun,
    worker_process_init,
    worker_ready,
    worker_shutting_down,
)
from django.conf import settings
from django.db import close_old_connections
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "musicrec.settings")

app = Celery("musicrec")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)  # each line of a task carries the task's id


@setup_logging.connect
def keep_our_logs(**kwargs: object) -> None:
    """Let Celery's processes log as Django is configured to, scrubbed, and not in their own way."""


@worker_process_init.connect
def _trace(**_: object) -> None:
    """Trace tasks where they run: in each process of the pool, after it was forked."""
    if settings.TRACING:
        from musicrec import tracing

        tracing.start()


@task_prerun.connect
def _renew_connections(sender: Any, **_: Any) -> None:
    """End connections that are too old or dead, as Django does before a request.

    Celery would end every one before and after each task where `CELERY_DB_REUSE_MAX` is not set:
    nine new backends of Postgres a second under load, each of which plans every statement anew.
    """
    if not sender.request.is_eager:
        close_old_connections()


@worker_ready.connect
def _begin_to_beat(sender: Any, **_: Any) -> None:
    """Let the console know that this worker is alive, and which queues it hears."""
    from recommendations.services.heartbeats import Pulse

    queues = ",".join(sorted(sender.app.amqp.queues.consume_from))
    sender.pulse = Pulse("worker", detail=queues)
    sender.pulse.start()
    worker_shutting_down.connect(lambda **_: sender.pulse.stop(), weak=False)
