"""The Celery application: queues ``default`` and ``training``, schedule in the database."""

import os

from celery import Celery
from celery.signals import setup_logging
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "musicrec.settings")

app = Celery("musicrec")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)  # each line of a task carries the task's id


@setup_logging.connect
def keep_our_logs(**kwargs: object) -> None:
    """Let Celery's processes log as Django is configured to, scrubbed, and not in their own way."""
