import fcntl
import os
import subprocess
import sys

import pytest
from rest_framework.test import APIClient

from recommendations.core.artefact import load
from recommendations.serving import state
from recommendations.tests.factories import make_catalogue, make_listener, make_token, make_version


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    """Keep what a test writes to itself."""
    settings.MODELS_DIR = tmp_path / "models"
    settings.VAR_DIR = tmp_path / "var"


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The small world's model, trained once for all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = shared / "small-world-model"
    with (shared / "small-world.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            # A process of its own: TensorFlow takes 600 MB that it would never give back.
            done = subprocess.run(  # noqa: S603 (our own command)
                [sys.executable, "-m", "recommendations.tests.small_world", str(folder)],
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
    return load(folder)


@pytest.fixture
def tracks(db):
    """The small world's catalogue."""
    return make_catalogue()


@pytest.fixture
def version(tracks, trained):
    """The small world's model, serving."""
    version = make_version(trained, tracks)
    state.forget()  # what a fixture before this one made this process load
    return version


@pytest.fixture
def listener(db):
    """A listener with an account."""
    listener = make_listener()
    make_token(listener)
    return listener


@pytest.fixture
def api(listener):
    """A client of the API that shows the listener's token."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(listener)}")
    return client
