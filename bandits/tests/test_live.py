import threading
from datetime import timedelta

import pytest
from django.db import connection

from bandits import live
from bandits.models import Bandit
from bandits.tests.factories import NOON


def await_reading():
    live._cache._reader.stop()  # which finishes what it was asked for


def test_threads_that_find_an_old_policy_share_one_new_reading(committed_bandit):
    key = committed_bandit.key
    old = live.live_policy(key, at=NOON)
    later = NOON + timedelta(seconds=5)
    start = threading.Barrier(6)
    found = []

    def read():
        start.wait()
        found.append(live.live_policy(key, at=later))
        connection.close()

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert {policy.loaded_at for policy in found} == {later}
    assert len({id(policy) for policy in found}) == 1
    assert found[0] is not old


def test_a_policy_a_second_old_is_read_beside_the_request(
    committed_bandit, django_assert_num_queries
):
    key = committed_bandit.key
    old = live.live_policy(key, at=NOON)
    later = NOON + timedelta(seconds=1.5)
    with django_assert_num_queries(0):
        assert live.live_policy(key, at=later) is old
    await_reading()
    with django_assert_num_queries(0):
        new = live.live_policy(key, at=later)
    assert new.loaded_at == later


def test_a_reading_that_fails_leaves_what_is_held_and_the_next_is_asked_for(committed_bandit):
    key = committed_bandit.key
    old = live.live_policy(key, at=NOON)
    Bandit.objects.filter(key=key).update(key="elsewhere")
    for seconds in (1.2, 1.4):
        assert live.live_policy(key, at=NOON + timedelta(seconds=seconds)) is old
        await_reading()
    Bandit.objects.filter(key="elsewhere").update(key=key)
    live.live_policy(key, at=NOON + timedelta(seconds=1.6))
    await_reading()
    assert live.live_policy(key, at=NOON + timedelta(seconds=1.6)) is not old


@pytest.mark.django_db
def test_a_failed_reading_is_tried_again_and_holds_no_lock():
    for _ in range(2):
        with pytest.raises(Bandit.DoesNotExist):
            live.live_policy("made_later", at=NOON)
    Bandit.objects.create(key="made_later", policy="uniform")
    assert live.live_policy("made_later", at=NOON).bandit.key == "made_later"
