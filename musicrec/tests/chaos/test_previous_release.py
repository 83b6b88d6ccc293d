"""The release before this one serves, learns and hands over on this one's schema.

That is what happens while a release is rolled out, and for longer after it was rolled back.  The
release before is what PREVIOUS_RELEASE names; else the newest tag before this commit; else, as long
as nothing was released, what was there before the newest change of a schema.
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


MIGRATIONS = ":(glob)*/migrations/0*.py"


def git(*arguments):
    """Return what git says, or None where it says no or is not there."""
    executable = shutil.which("git")
    if executable is None:
        return None
    done = subprocess.run(  # noqa: S603 (our own command)
        [executable, *arguments], cwd=ROOT, capture_output=True
    )
    return done.stdout if done.returncode == 0 else None


def said(*arguments):
    """Return what git says as text, "" where it says no."""
    return (git(*arguments) or b"").decode().strip()


def name_of_release_before():
    """Return a name that git knows, or "" where the history says nothing."""
    if name := os.environ.get("PREVIOUS_RELEASE"):
        return name
    if name := said("describe", "--tags", "--abbrev=0", "HEAD^"):
        return name
    # A migration that was only touched, say to reword a comment, leaves the schema as it was.
    newest = said("log", "-1", "--diff-filter=A", "--format=%H", "--", MIGRATIONS)
    return said("rev-parse", "--verify", "--quiet", f"{newest}^") if newest else ""


def n_migrations(folder):
    return len(list(folder.glob("*/migrations/0*.py")))


@pytest.fixture
def release_before(tmp_path):
    """The name of the release before and its source, in a folder."""
    name = name_of_release_before()
    if not name:
        why = "git tells of no release before this one (PREVIOUS_RELEASE names a commit)"
        has_history = said("rev-parse", "--is-shallow-repository") == "false"
        if has_history and os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why if has_history else f"{why}: this clone is shallow, or none")
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
    n_new = n_migrations(ROOT) - n_migrations(folder)
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
    report(
        f"{name[:12]} took {n} responses on a schema {n_new} migrations newer than its own, and "
        f"this release {n} after it"
    )
