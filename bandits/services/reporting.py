"""Keeping what a report said, so that pages need not compute it."""

from datetime import datetime

from django.db import transaction

from bandits import reports
from bandits.models import Bandit, Snapshot


@transaction.atomic
def take_snapshot(bandit: Bandit, *, at: datetime) -> Snapshot:
    """Compute the report and keep it: one per hour, the newest as of now."""
    report = reports.build(bandit, at=at)
    newest = bandit.snapshots.first()
    hour = at.replace(minute=0, second=0, microsecond=0)
    if newest is not None and hour <= newest.taken_at <= at:
        newest.taken_at, newest.report = at, report
        newest.save()
        return newest
    snapshot, _ = Snapshot.objects.update_or_create(
        bandit=bandit, taken_at=at, defaults={"report": report}
    )
    return snapshot
