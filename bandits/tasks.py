"""Periodic jobs; each may run twice or at once with itself without harm."""

from celery import shared_task
from django.utils import timezone

from bandits import services
from bandits.models import Bandit


@shared_task
def fold_rewards() -> None:
    """Take in the reward changes of every bandit, and what its settings changed; every 5 s."""
    for bandit in Bandit.objects.all():
        if bandit.rebuild_due:
            services.rebuild(bandit, at=timezone.now(), progress=services.tell_progress(bandit))
        while services.fold(bandit, at=timezone.now()):
            pass


@shared_task
def expire_decisions() -> None:
    """Give a reward of 0 to what nobody responded to in time; every minute."""
    services.expire(at=timezone.now())


@shared_task
def take_snapshots() -> None:
    """Compute every bandit's report; every few minutes."""
    for bandit in Bandit.objects.all():
        services.take_snapshot(bandit, at=timezone.now())
