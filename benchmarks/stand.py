"""A musicrec of its own to measure: database, broker, models and web processes in one folder."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import Finished, children_of, run
from musicrec import embedded

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60


@dataclass(frozen=True)
class Web:
    """A running gunicorn.

    Attributes:
        port: on the loopback interface.
        workers: process ids of those that answer.
    """

    port: int
    workers: list[int]


class Stand:
    """One installation under `folder`; its servers stop when this process ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_new = not (folder / "postgres").exists()
        folder.mkdir(parents=True, exist_ok=True)
        self.env = {
            **os.environ,
            "MUSICREC_VAR": str(folder),
            "MUSICREC_MODELS": str(folder / "models"),
            "DATABASE_URL": embedded.start_postgres(folder / "postgres"),
            "REDIS_URL": embedded.start_redis(folder / "redis"),
            "DJANGO_SETTINGS_MODULE": "musicrec.settings",
            "DJANGO_SECRET_KEY": secrets.token_urlsafe(32),
            "DJANGO_ALLOWED_HOSTS": "localhost,127.0.0.1",
            "DJANGO_HTTPS": "false",
            "DJANGO_DEBUG": "false",
            "PYTHONPATH": str(ROOT),
        }
        self._runs = 0

    def prepare(self) -> None:
        """Bring tables and static files to where a web process can start."""
        self.manage("migrate", "--verbosity", "0")
        self.manage("collectstatic", "--no-input", "--verbosity", "0")

    def manage(self, *arguments: str) -> Finished:
        """Run ``manage.py`` with these arguments, in a process of its own."""
        return self.python(str(ROOT / "manage.py"), *arguments)

    def python(self, *arguments: str) -> Finished:
        """Run this Python with these arguments."""
        self._runs += 1
        log = self.folder / f"run-{self._runs}.log"
        return run([sys.executable, *arguments], self.env, ROOT, log)

    @contextlib.contextmanager
    def web(self, application: str = "musicrec.wsgi") -> Iterator[Web]:
        """Run gunicorn as a deployment does, until the block ends.

        Only that no worker starts anew after so many requests: it would hide what grows.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            *(sys.executable, "-m", "gunicorn", "-c", str(ROOT / "deploy" / "gunicorn.conf.py")),
            *("-b", f"127.0.0.1:{port}", "--max-requests", "0", application),
        ]
        with (self.folder / "web.log").open("w") as log:
            master = subprocess.Popen(  # noqa: S603 (our own command, no shell)
                command, env=self.env, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                self._await(port, master)
                yield Web(port, children_of(master.pid))
            finally:
                master.send_signal(signal.SIGTERM)
                master.wait(timeout=30)

    def _await(self, port: int, master: subprocess.Popen) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                    return
            except urllib.error.HTTPError as error:
                raise RuntimeError(f"not ready: {error.read().decode()}") from error
            except OSError:
                if master.poll() is not None or time.monotonic() > deadline:
                    text = (self.folder / "web.log").read_text()
                    raise RuntimeError(f"gunicorn did not start:\n{text[-2000:]}") from None
                time.sleep(0.1)
