"""A database that keeps its connections and says nothing; and one that is only slow."""

import contextlib
import socket
import threading
import time

import pytest
from django.db import OperationalError, connections
from django.db import connection as tests_own

from musicrec.postgres import silence


class Relay:
    """Stands between a client and the tests' Postgres, and passes on what both say, or nothing."""

    def __init__(self, server):
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._passes = threading.Event()
        self._passes.set()
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent(self):
        self._passes.clear()

    def go_on(self):
        self._passes.set()

    def close(self):
        self._passes.set()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._passes.wait()
                is_path = isinstance(self._server, str)
                server = socket.socket(socket.AF_UNIX if is_path else socket.AF_INET)
                server.connect(self._server)
                self._sockets += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one, other):
        with contextlib.suppress(OSError):
            while said := one.recv(65536):
                self._passes.wait()
                other.sendall(said)
            other.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        tests_own.ensure_connection()
    relay = Relay(tests_own.peer)
    yield relay
    relay.close()


@pytest.fixture
def connection(relay, django_db_blocker):
    """A connection through the relay, looked after as in a web process."""
    with django_db_blocker.unblock():
        own = tests_own.copy("relayed")
        own.settings_dict = own.settings_dict | {"HOST": "127.0.0.1", "PORT": str(relay.port)}
        connections["relayed"] = own  # where what Django does on connecting looks for it
        silence.watch.start()
        try:
            own.connect()
            yield own
        finally:
            silence.watch.stop()
            own.close()
            del connections["relayed"]


def ask(connection, sql="SELECT 1"):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def begin_request(connection):
    connection.close_if_unusable_or_obsolete()


@contextlib.contextmanager
def within(seconds):
    began = time.monotonic()
    yield
    assert time.monotonic() - began <= seconds


@pytest.mark.django_db
def test_who_waits_is_let_go_and_nobody_else_waits_until_it_answers_again(connection, relay):
    assert ask(connection) == 1
    relay.fall_silent()
    with within(2), pytest.raises(OperationalError):
        ask(connection)
    for _ in range(3):
        begin_request(connection)
        with within(0.2), pytest.raises(OperationalError, match="says nothing"):
            ask(connection)
    relay.go_on()
    with within(5):
        while True:
            begin_request(connection)
            try:
                assert ask(connection) == 1
                break
            except OperationalError:
                time.sleep(0.05)


@pytest.mark.django_db
def test_who_waits_for_a_commit_is_let_go(connection, relay):
    connection.set_autocommit(False)
    ask(connection, "SELECT pg_current_xact_id()::text")
    relay.fall_silent()
    with within(2), pytest.raises(OperationalError):
        connection.commit()


@pytest.mark.django_db
def test_who_is_still_connecting_is_let_go(connection, relay):
    connection.close()
    relay.fall_silent()
    for seconds in (2, 0.2):
        with within(seconds), pytest.raises(OperationalError, match="says nothing"):
            ask(connection)


@pytest.mark.django_db
def test_a_statement_that_is_slow_is_waited_for(connection):
    assert ask(connection, "SELECT 7 FROM pg_sleep(3)") == 7
    assert ask(connection) == 1
