"""What every test needs: processes that remember nothing, and rows that other connections see."""

import io
import os
from urllib.parse import urlsplit

import hypothesis
import pytest

# How long an example takes is the machine's affair, and no test's.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def nothing_remembered():
    """Forget what this process holds of a database that another test rolled back."""
    from bandits import live
    from recommendations.services.request_times import request_times
    from recommendations.serving import state
    from recommendations.views import probes

    request_times.forget()
    state.forget()
    probes.forget()
    live.forget()


@pytest.fixture(autouse=True)
def no_calls_counted(request):
    """Forget how often tests before this one called; each worker has a Redis database to itself."""
    asks = {"db", "committed"} & set(request.fixturenames)
    if asks or request.node.get_closest_marker("django_db"):
        import redis
        from django.conf import settings

        with redis.Redis.from_url(settings.REDIS_URL) as client:
            client.flushdb()


@pytest.fixture
def one_minute(monkeypatch):
    """Count all calls in one minute, of which 50 s are left: else a test may begin in another."""
    from musicrec import limits

    monkeypatch.setattr(limits, "now", lambda: 1_800_000_010.5)


@pytest.fixture
def committed(django_db_setup, django_db_blocker):
    """A database whose rows other connections, threads and processes see; as before afterwards.

    A transactional test would flush the database, and with it what migrations wrote.
    """
    from django.db import connection

    with django_db_blocker.unblock():
        assert not connection.in_atomic_block, "the mark django_db does not go with `committed`"
        # pytest-django makes its database where a test of the run asks for it by that mark.
        name = connection.settings_dict["NAME"]
        assert name.startswith("test_"), "run a test with the mark django_db along with this one"
        with connection.cursor() as cursor:
            before = {table: _rows(cursor, table) for table in _tables(cursor)}
        yield
        with connection.cursor() as cursor:
            # In any order, and also where a trigger keeps a table append-only.
            cursor.execute("SET session_replication_role = replica")
            for table, rows in before.items():
                if _rows(cursor, table) != rows:
                    cursor.execute(f'DELETE FROM "{table}"')  # noqa: S608 (a table of ours)
                    cursor.cursor.copy_expert(f'COPY "{table}" FROM STDIN', io.BytesIO(rows))
            cursor.execute("SET session_replication_role = DEFAULT")
        connection.close()


@pytest.fixture
def child_environment(settings):
    """The environment of a child process that works on this test's database and folders."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "musicrec.test_settings",
        "DATABASE_URL": urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl(),
        "REDIS_URL": settings.REDIS_URL,
        "MUSICREC_MODELS": str(settings.MODELS_DIR),
        "MUSICREC_VAR": str(settings.VAR_DIR),
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _tables(cursor):
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return [table for (table,) in cursor.fetchall()]


def _rows(cursor, table):
    """Return what a table holds, as Postgres copies it; generated columns are left out."""
    held = io.BytesIO()
    cursor.cursor.copy_expert(f'COPY "{table}" TO STDOUT', held)
    return held.getvalue()
