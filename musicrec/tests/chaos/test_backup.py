"""A backup taken while the system is used, restored elsewhere: equal tables, the same lists."""

import contextlib
import json
import subprocess
import sys

import psycopg2
import pytest

from musicrec.tests.chaos.crowd import Crowd
from musicrec.tests.chaos.installation import ROOT, wait_until
from musicrec.tests.chaos.test_queue_faults import n_open

pytestmark = [pytest.mark.slow, pytest.mark.chaos]

LISTS = """
import json
import django
django.setup()
from datetime import datetime, UTC
from accounts.models import Listener
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
at = datetime(2030, 1, 1, tzinfo=UTC)
print(json.dumps([
    [(item.track_id, item.score) for item in recommend(
        listener=listener, wishes=Wishes(n=10), at=at, strategy=strategy, record=False
    ).items]
    for listener in Listener.objects.order_by("pk")[:10]
    for strategy in ("neural_cf", "hybrid_ensemble", "content_based")
]))
"""


def run_script(name, folder, env):
    """Run one of the scripts of deploy/ to its end."""
    return subprocess.run(  # noqa: S603 (our own script)
        ["bash", str(ROOT / "deploy" / name), str(folder)],  # noqa: S607
        env=env, capture_output=True, text=True,
    )  # fmt: skip


def elsewhere(serving, env, name, models):
    """Return the environment of a new, empty database and a models folder of its own."""
    with contextlib.closing(psycopg2.connect(serving.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
    url = serving.database_url.replace("/musicrec?", f"/{name}?")
    return env | {"DATABASE_URL": url, "MUSICREC_MODELS": str(models)}


def lists_of(serving, env):
    """Return the lists of some listeners by each strategy."""
    done = serving.python("-c", LISTS, **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_restored_backup_has_equal_tables_and_makes_the_lists_of_the_original(
    serving, slates, scale, tmp_path, report
):
    tools = serving.postgres.bin_path
    env = serving.env | {
        "PYTHON": sys.executable,
        "PG_DUMP": str(tools / "pg_dump"),
        "PG_RESTORE": str(tools / "pg_restore"),
    }
    crowd = Crowd(serving, slates, n=100, rate=scale.rate)
    crowd.start()
    in_use = tmp_path / "in-use"
    done = run_script("backup.sh", in_use, env)
    assert done.returncode == 0, done.stderr
    crowd.join()
    there = elsewhere(serving, env, "from_in_use", tmp_path / "models-of-in-use")
    done = run_script("restore.sh", in_use, there)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every table is as it was" in done.stdout
    before = (in_use / "checksums.txt").read_text()
    assert " 0 0\n" in before  # some tables are empty
    assert "recommendations_feedback " in before
    # With the original itself a backup can be compared that was taken when it had come to rest.
    wait_until(lambda: n_open(serving) == 0, seconds=60, what="the outbox is drained")
    at_rest = tmp_path / "at-rest"
    done = run_script("backup.sh", at_rest, env)
    assert done.returncode == 0, done.stderr
    there = elsewhere(serving, env, "from_at_rest", tmp_path / "models-of-at-rest")
    done = run_script("restore.sh", at_rest, there)
    assert done.returncode == 0, done.stdout + done.stderr
    original = lists_of(serving, env)
    assert all(original)
    assert lists_of(serving, there) == original
    damaged = in_use / "musicrec.dump"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert run_script("restore.sh", in_use, there).returncode == 1
    n_rows = sum(int(line.split()[1]) for line in before.splitlines())
    report(f"backup and restore: {n_rows} rows in {len(before.splitlines())} tables are equal")
