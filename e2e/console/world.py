"""Fills an empty database with what the console's tests look at, and prints where things are."""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import django

django.setup()

from allauth.account.models import EmailAddress  # noqa: E402
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes  # noqa: E402
from allauth.mfa.totp.internal.auth import TOTP  # noqa: E402
from django.contrib.auth.models import Group  # noqa: E402
from django.utils import timezone  # noqa: E402
from django_celery_beat.models import IntervalSchedule, PeriodicTask  # noqa: E402

from accounts import services as accounts  # noqa: E402
from accounts.models import User  # noqa: E402
from recommendations.core.artefact import load  # noqa: E402
from recommendations.models import OutboxEvent  # noqa: E402
from recommendations.services import effects, measuring, rollups, uploads  # noqa: E402
from recommendations.services import feedback as responses  # noqa: E402
from recommendations.services.recommend import recommend  # noqa: E402
from recommendations.services.wishes import Wishes  # noqa: E402
from recommendations.tests.factories import (  # noqa: E402
    make_catalogue,
    make_listener,
    make_service,
    make_version,
)
from recommendations.tests.small_world import genre_of  # noqa: E402

PASSWORD = "vinyl-and-lamplight-7"
SECRET = "JBSWY3DPEHPK3PXP"  # of a second factor
FORGETFUL = "forgetful@example.com"  # never logs in, so that the link to a new password holds
CSV = b"track_id,name,artist,genres,year\nb1,First,One,pop,1999\nb2,Second,One,pop,later\n"


def add_people(now: datetime) -> None:
    """Make who else has pages: a superuser, a listener with a second factor, a service, a task."""
    root = User.objects.create_superuser("root@example.com", PASSWORD)
    for email in ("mia@example.com", FORGETFUL):
        user = User.objects.create_user(email, PASSWORD)
        EmailAddress.objects.create(user=user, email=email, primary=True)
        accounts.listener_of(user)
    mia = User.objects.get(email="mia@example.com")
    TOTP.activate(mia, SECRET)
    RecoveryCodes.activate(mia)
    accounts.issue_service_key(service=make_service("shop"), scopes=["read"], at=now)
    uploads.preview(name="new.csv", content=CSV, by=root, at=now)
    every_day = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.DAYS)
    PeriodicTask.objects.create(name="nothing", task="nothing", interval=every_day, enabled=False)


def fill(model_folder: Path) -> dict[str, object]:
    """Make staff of every role, a catalogue, two models, lists with responses, a dead letter."""
    for role in ("viewer", "experimenter", "operator", "administrator"):
        user = User.objects.create_user(f"{role}@example.com", PASSWORD, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
    tracks = make_catalogue()
    model = load(model_folder)
    now = timezone.now()
    add_people(now)
    first = make_version(model, tracks, at=now - timedelta(days=1))
    second = make_version(model, tracks, at=now)
    for version, error in ((first, 0.21), (second, 0.19)):
        version.metrics = {"mae": error, "expected_calibration_error": 0.03}
        version.verdict = "Promoted: better on the newest responses."
        version.save()
    slate = None
    for number in range(6):
        listener = make_listener(
            external_id=f"mia-{number}", genres=[genre_of(number)], is_simulated=True
        )
        slate = None
        for minutes in range(4):
            at = now - timedelta(days=number % 3, minutes=30 - minutes)
            slate = recommend(listener=listener, wishes=Wishes(n=10), at=at).recommendation
            by_pk = {track.pk: track for track in tracks}
            for place, kind in ((0, "like"), (1, "skip"), (2, "rating")):
                responses.record_feedback(
                    listener=listener,
                    track=by_pk[slate.tracks[place]],
                    kind=kind,
                    rating=4 if kind == "rating" else None,
                    recommendation=slate,
                    at=at + timedelta(seconds=30),
                )
    effects.drain_outbox(at=now, batch=1000)
    OutboxEvent.objects.filter(pk=OutboxEvent.objects.latest("pk").pk).update(
        closed_at=None,
        attempts=OutboxEvent.MAX_ATTEMPTS,
        last_error="OperationalError: could not extend file: no space left on device",
    )
    rollups.count_days(at=now)
    measuring.measure_all(at=now, slow_too=True)
    return {
        "password": PASSWORD,
        "listener": listener.key,
        "slate": str(slate.pk),
        "first": first.pk,
        "second": second.pk,
        "track": tracks[0].name,
    }


if __name__ == "__main__":
    json.dump(fill(Path(sys.argv[1])), sys.stdout)
