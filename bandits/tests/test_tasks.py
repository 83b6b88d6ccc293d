from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from bandits import services, tasks
from bandits.models import Arm, Decision
from bandits.tests.factories import make_bandit, make_decision

pytestmark = pytest.mark.django_db


def test_the_periodic_jobs_expire_fold_and_report_and_may_run_twice():
    long_ago = timezone.now() - timedelta(hours=2)
    rows = [make_decision(np.random.default_rng(0), at=long_ago)]
    services.credit(request_id=rows[0].pk, reward=0.5, at=long_ago)
    rows.append(make_decision(np.random.default_rng(1), at=long_ago))
    for _ in range(2):
        tasks.expire_decisions()
        tasks.fold_rewards()
        tasks.take_snapshots()
    assert {row.state for row in Decision.objects.all()} == {"final", "expired"}
    assert not Decision.objects.filter(unfolded=True).exists()
    assert sum(arm.learned.statistics().count for arm in Arm.objects.all()) == 2
    assert make_bandit().snapshots.get().report["decisions"] == 2
