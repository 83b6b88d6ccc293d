"""Entry points of the worker."""

from celery import shared_task
from django.utils import timezone

from experiments import services


@shared_task
def roll_up_experiments() -> None:
    """Bring sums and verdicts up to date; safe to run twice."""
    services.roll_up(at=timezone.now())
