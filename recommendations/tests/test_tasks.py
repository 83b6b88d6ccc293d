"""What a request asks of the work queue."""

import time

import pytest
import redis
from django.conf import settings

from recommendations.tasks import _Nudge

PAUSE = 0.5


def await_messages(queue, n):
    deadline = time.monotonic() + 20
    while queue.llen(settings.CELERY_TASK_DEFAULT_QUEUE) < n:
        assert time.monotonic() < deadline, f"there are not {n} messages"


@pytest.mark.django_db
def test_the_first_response_is_told_at_once_and_those_that_follow_together():
    nudge = _Nudge(pause=PAUSE)
    with redis.Redis.from_url(settings.REDIS_URL) as queue:
        began = time.monotonic()
        nudge()
        await_messages(queue, 1)
        for _ in range(20):
            nudge()
        await_messages(queue, 2)
        assert time.monotonic() - began >= PAUSE
        assert queue.llen(settings.CELERY_TASK_DEFAULT_QUEUE) == 2
