"""Wiring: settings, addresses, the work queue, the format of errors."""

from musicrec.celery import app as celery_app

__all__ = ["celery_app"]
