"""The database's connections: kept from request to request, and not for ever."""

import pytest
from django.db import OperationalError
from django.db import connection as tests_own

from musicrec.postgres import base


@pytest.fixture
def connection(django_db_setup, django_db_blocker):
    """A connection of its own, outside of any test's transaction."""
    with django_db_blocker.unblock():
        own = tests_own.copy()
        own.settings_dict = own.settings_dict | {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
        own.connect()
        yield own
        own.close()


@pytest.fixture
def clock(monkeypatch):
    """The time of day, in seconds, in a list: it stands until a test moves it on."""
    at = [1000.0]
    monkeypatch.setattr(base, "monotonic", lambda: at[0])
    return at


@pytest.fixture
def asked(connection, monkeypatch):
    """How often the connection was asked whether it lives."""
    times = []
    is_usable = connection.is_usable
    monkeypatch.setattr(connection, "is_usable", lambda: times.append(1) or is_usable())
    return times


def begin_request(connection):
    connection.close_if_unusable_or_obsolete()


def ask(connection, sql="SELECT 1"):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


@pytest.mark.usefixtures("clock")
@pytest.mark.django_db
def test_requests_within_a_second_check_the_connection_once(connection, asked):
    for _ in range(3):
        begin_request(connection)
        ask(connection)
    assert len(asked) == 1


@pytest.mark.django_db
def test_a_connection_that_died_while_nobody_asked_is_replaced(connection, clock):
    begin_request(connection)
    backend = ask(connection, "SELECT pg_backend_pid()")
    with tests_own.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 2000)", [backend])
    clock[0] += base.CHECK_EVERY
    begin_request(connection)
    assert ask(connection, "SELECT pg_backend_pid()") != backend


@pytest.mark.usefixtures("clock")
@pytest.mark.django_db
def test_a_connection_that_failed_is_checked_however_soon(connection):
    begin_request(connection)
    backend = ask(connection, "SELECT pg_backend_pid()")
    with tests_own.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 2000)", [backend])
    begin_request(connection)
    with pytest.raises(OperationalError):
        ask(connection)  # within the second: this one fails
    begin_request(connection)
    assert ask(connection) == 1
