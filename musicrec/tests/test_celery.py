"""What a worker does with its connections to Postgres, between two tasks."""

import psycopg2
import pytest
from celery.fixups.django import DjangoWorkerFixup
from celery.signals import task_prerun
from django.db import connection

from musicrec.celery import app
from recommendations.tasks import drain_outbox

pytestmark = pytest.mark.usefixtures("committed")


def backend():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def between_two_tasks():
    fixup = DjangoWorkerFixup(app)
    fixup.on_task_postrun(drain_outbox)
    fixup.on_task_prerun(drain_outbox)
    task_prerun.send(sender=drain_outbox)


def test_a_worker_keeps_its_connection_from_task_to_task():
    before = backend()
    between_two_tasks()
    assert backend() == before


def test_a_connection_that_died_is_replaced_before_the_next_task():
    before = backend()
    connection.close_at = None
    other = psycopg2.connect(**connection.get_connection_params())
    other.autocommit = True
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    other.close()
    connection._checked_at = 0.0  # of a second ago
    between_two_tasks()
    assert backend() != before


def test_a_connection_that_is_too_old_is_replaced_before_the_next_task():
    before = backend()
    connection.close_at = 0.0
    between_two_tasks()
    assert backend() != before
