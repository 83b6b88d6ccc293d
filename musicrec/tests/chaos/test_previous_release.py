"""The release before this one serves, learns and hands over on this one's schema.

That is what happens while a release is rolled out, and for longer after it was rolled back.  The
release before is the newest tag, or what PREVIOUS_RELEASE names.
"""

import os
import shutil
import subprocess
import tarfile

import pytest

from musicrec.tests.chaos.crowd import Crowd, ask_for_slates
from musicrec.tests.chaos.installation import ROOT, wait_until
from musicrec.tests.chaos.test_queue_faults import check_that_effects_equal_events, n_open

pytestmark = [pytest.mark.slow, pytest.mark.chaos]


def git(*arguments):
    """Return what git says, or None where it says no."""
    executable = shutil.which("git")
    if executable is None:
        return None
    done = subprocess.run(  # noqa: S603 (our own command)
        [executable, *arguments], cwd=ROOT, capture_output=True
    )
    return done.stdout if done.returncode == 0 else None


@pytest.fixture
def release_before(tmp_path):
    """The name of the release before and its source, in a folder."""
    name = (
        os.environ.get("PREVIOUS_RELEASE")
        or (git("describe", "--tags", "--abbrev=0", "HEAD^") or b"").decode().strip()
    )
    if not name:
        pytest.skip("there is no release before this one (PREVIOUS_RELEASE names a commit)")
    packed = git("archive", "--format=tar", name)
    assert packed is not None, f"git does not know {name}"
    (tmp_path / "source.tar").write_bytes(packed)
    folder = tmp_path / "source"
    with tarfile.open(tmp_path / "source.tar") as archive:
        archive.extractall(folder, filter="data")
    return name, folder


def test_the_release_before_runs_on_this_schema_and_hands_over(
    installation, release_before, scale, report
):
    name, folder = release_before
    newer = installation.query("SELECT count(*) FROM django_migrations")[0][0]
    installation.use(folder)
    assert installation.manage("migrate", "--check").returncode == 0  # it wants nothing else
    n, accepted = 60, set()
    for source in (folder, ROOT):
        installation.use(source)
        installation.start_web()
        installation.start_worker()
        installation.start_beat()
        slates = ask_for_slates(installation, installation.tokens, each=1)
        crowd = Crowd(installation, slates, n=n, rate=scale.rate)
        crowd.start()
        crowd.join()
        accepted |= crowd.outcome.accepted
        wait_until(lambda: n_open(installation) == 0, seconds=60, what="the outbox is drained")
        for process in ("web", "worker", "beat"):
            installation.stop(process)
    assert len(accepted) == 2 * n
    installation.start_worker()
    installation.start_beat()
    check_that_effects_equal_events(installation, accepted)
    assert installation.query("SELECT count(*) FROM django_migrations") == [(newer,)]
    report(f"{name} took {n} responses on this schema, and this release {n} after it")
