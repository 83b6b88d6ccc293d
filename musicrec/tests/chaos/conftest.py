"""Faults are tried in full by `make test-chaos`, and in short where CHAOS is not ``full``."""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from musicrec.tests.chaos.crowd import ask_for_slates
from musicrec.tests.chaos.installation import ROOT, SEED, Installation


@dataclass(frozen=True)
class Scale:
    """How much of a fault is tried."""

    rate: float  # responses a second
    away: float  # seconds that Redis is away
    events: int
    kills: int  # of the worker
    relays: int  # kills of the outbox relay
    wipes: int  # of Redis
    listeners: int
    is_full: bool


FULL = Scale(
    rate=float(os.environ.get("CHAOS_RATE", "200")),
    away=60,
    events=int(os.environ.get("CHAOS_EVENTS", "10000")),
    kills=20,
    relays=5,
    wipes=2,
    listeners=120,
    is_full=True,
)
SHORT = Scale(rate=20, away=5, events=240, kills=3, relays=1, wipes=1, listeners=12, is_full=False)


@pytest.fixture(scope="session")
def scale():
    return FULL if os.environ.get("CHAOS") == "full" else SHORT


@pytest.fixture(scope="module")
def installation(scale):
    """Postgres and Redis with tables, tracks, listeners and a model; no process of ours yet."""
    # Not below pytest's folder, which only its owner may enter: Postgres is another user's.
    folder = Path(tempfile.mkdtemp(prefix="musicrec-installation-"))
    folder.chmod(0o755)
    made = Installation(folder)
    try:
        done = made.manage("migrate", "--verbosity", "0")
        assert done.returncode == 0, done.stderr
        done = made.python("-c", SEED, str(scale.listeners))
        assert done.returncode == 0, done.stderr
        made.tokens = json.loads(done.stdout)
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def serving(installation):
    """The same with web, worker and schedule."""
    installation.start_web()
    installation.start_worker()
    installation.start_beat()
    return installation


@pytest.fixture(scope="module")
def slates(serving, scale):
    return ask_for_slates(serving, serving.tokens, each=4 if scale.is_full else 2)


@pytest.fixture
def report(request, scale):
    """Prints figures with the load of the machine, for the report of a full run."""
    from benchmarks.machine import describe_machine

    def write(text):
        line = f"{request.node.name}: {text} [{describe_machine()}]"
        with (ROOT / "var" / "chaos.log").open("a") as file:
            file.write(line + "\n")
        print(line)

    (ROOT / "var").mkdir(exist_ok=True)
    return write
