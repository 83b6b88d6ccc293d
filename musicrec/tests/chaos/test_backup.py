"""A backup taken while the system is used, restored elsewhere: equal tables, the same lists."""

import contextlib
import json
import subprocess
import sys

import psycopg2
import pytest

from musicrec.tests.chaos.crowd import Crowd
from musicrec.tests.chaos.installation import ROOT

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


def test_a_restored_backup_has_equal_tables_and_makes_the_same_lists(
    serving, slates, scale, tmp_path, report
):
    crowd = Crowd(serving, slates, n=100, rate=scale.rate)
    crowd.start()
    folder, models = tmp_path / "backup", tmp_path / "models"
    tools = serving.postgres.bin_path
    env = serving.env | {
        "PYTHON": sys.executable,
        "PG_DUMP": str(tools / "pg_dump"),
        "PG_RESTORE": str(tools / "pg_restore"),
    }
    done = subprocess.run(  # noqa: S603 (our own script)
        ["bash", str(ROOT / "deploy" / "backup.sh"), str(folder)],  # noqa: S607
        env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    crowd.join()
    with contextlib.closing(psycopg2.connect(serving.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute("CREATE DATABASE restored")
    elsewhere = {
        "DATABASE_URL": serving.database_url.replace("/musicrec?", "/restored?"),
        "MUSICREC_MODELS": str(models),
    }
    restore = ["bash", str(ROOT / "deploy" / "restore.sh"), str(folder)]
    done = subprocess.run(  # noqa: S603 (our own script)
        restore, env=env | elsewhere, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every table is as it was" in done.stdout
    before = (folder / "checksums.txt").read_text()
    assert " 0 0\n" in before  # some tables are empty
    assert "recommendations_feedback " in before
    lists = serving.python("-c", LISTS, **elsewhere)
    again = serving.python("-c", LISTS, **elsewhere)
    assert lists.returncode == 0, lists.stderr
    assert json.loads(lists.stdout) == json.loads(again.stdout)
    # Those of the original, once it has been brought back to the moment of the backup too.
    with contextlib.closing(psycopg2.connect(serving.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute("CREATE DATABASE twice")
    twice = {"DATABASE_URL": serving.database_url.replace("/musicrec?", "/twice?")}
    done = subprocess.run(  # noqa: S603 (our own script)
        restore, env=env | twice | {"MUSICREC_MODELS": str(tmp_path / "again")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    original = serving.python("-c", LISTS, **twice)  # with the original's own models folder
    assert json.loads(original.stdout) == json.loads(lists.stdout)
    damaged = folder / "musicrec.dump"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    done = subprocess.run(  # noqa: S603 (our own script)
        restore, env=env | elsewhere, capture_output=True, text=True
    )
    assert done.returncode == 1
    n_rows = sum(int(line.split()[1]) for line in before.splitlines())
    report(f"backup and restore: {n_rows} rows in {len(before.splitlines())} tables are equal")
