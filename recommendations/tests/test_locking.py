"""Writers who meet at the same listener: none waits for ever, and nothing is lost."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Listener
from experiments.models import ListenerDay
from recommendations.models import Feedback, Taste, Track
from recommendations.services import personal_data, visitors
from recommendations.services import taste as tastes
from recommendations.services.bulk_feedback import Response, record_many
from recommendations.services.effects import drain_outbox
from recommendations.services.feedback import TrackGone, record_feedback
from recommendations.serving import state
from recommendations.tests.factories import make_feedback, make_listener, make_service, make_track

pytestmark = pytest.mark.usefixtures("committed")


def in_a_thread(act, *args, **kwargs):
    """Do something on a connection of its own, and return what comes of it."""
    try:
        return act(*args, **kwargs)
    finally:
        connection.close()


def n_waiting():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # which a transaction would keep
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0]


def await_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def held(taste):
    """Hold a taste, as a request of the listener's does, until the block ends."""
    release, holds = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            Taste.objects.select_for_update().get(pk=taste.pk)
            holds.set()
            assert release.wait(30)

    with ThreadPoolExecutor() as pool:
        holding = pool.submit(in_a_thread, hold)
        assert holds.wait(30)
        try:
            yield
        finally:
            release.set()
            holding.result(timeout=30)


def test_many_responses_and_an_erasure_at_once_both_come_to_their_end():
    service, track = make_service(), make_track()
    mia = make_listener(service=service, external_id="mia")
    taste = tastes.read_taste(mia)
    rows = [Response(place=0, user_id="mia", track_id=track.track_id, kind="like", event_id="e1")]
    with ThreadPoolExecutor() as pool:
        with held(taste):
            erasing = pool.submit(in_a_thread, personal_data.erase, mia)
            await_until(lambda: n_waiting() == 1)
            recording = pool.submit(
                in_a_thread, record_many, rows, service=service, at=timezone.now()
            )
            await_until(lambda: n_waiting() == 2)
        erasing.result(timeout=30)
        (outcome,) = recording.result(timeout=30)
    assert outcome.status == "recorded"
    again = Listener.objects.get(external_id="mia")
    assert again.pk != mia.pk  # she began anew
    assert Feedback.objects.get().listener == again


def test_a_response_to_a_track_that_was_just_deleted_is_refused():
    track, listener = make_track(), make_listener()
    state.current()  # which knows the track for a second more
    Track.objects.all().delete()
    with pytest.raises(TrackGone):
        record_feedback(listener=listener, track=track, kind="like", at=timezone.now())
    assert not Feedback.objects.exists()


def test_a_response_on_the_way_while_a_visitor_signs_in_is_theirs_or_was_not_taken(monkeypatch):
    track = make_track()
    visitor, account = make_listener(is_visitor=True), make_listener()
    make_feedback(listener=visitor, track=track)
    state.current()
    with ThreadPoolExecutor() as pool:
        coming = []
        erase = personal_data.erase

        def erase_late(listener):
            coming.append(
                pool.submit(
                    in_a_thread, record_feedback,
                    listener=visitor, track=track, kind="save", at=timezone.now(), event_id="late",
                )
            )  # fmt: skip
            await_until(lambda: coming[0].done() or n_waiting())
            erase(listener)

        monkeypatch.setattr(personal_data, "erase", erase_late)
        visitors.merge(visitor, into=account)
        with pytest.raises(tastes.ListenerGone):
            coming[0].result(timeout=30)
    assert set(Feedback.objects.values_list("listener", flat=True)) == {account.pk}


def test_effects_under_way_while_a_visitor_signs_in_count_once_and_for_the_account():
    now = timezone.now()
    track, visitor, account = make_track(), make_listener(is_visitor=True), make_listener()
    make_feedback(listener=visitor, track=track, at=now)
    tastes.read_taste(account)
    state.current()
    release, applied = threading.Event(), threading.Event()

    def work():
        with transaction.atomic():
            drain_outbox(at=now)
            applied.set()
            assert release.wait(30)

    with ThreadPoolExecutor() as pool:
        working = pool.submit(in_a_thread, work)
        assert applied.wait(30)
        merging = pool.submit(in_a_thread, visitors.merge, visitor, into=account)
        await_until(lambda: merging.done() or n_waiting())
        release.set()
        working.result(timeout=30)
        merging.result(timeout=30)
    days = ListenerDay.objects.filter(metric__key="like_rate")
    assert list(days.values_list("listener", "numerator")) == [(account.pk, 1)]
