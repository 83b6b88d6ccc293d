"""Migrations forward and back on rows, and a schema on which the release before still runs.

A release is rolled out while the one before it serves, so a migration may only add ("expand"), and
what is no longer used is removed one release later ("contract").  A migration that contracts says
so by ``contracts = "why the release before no longer uses it"`` in its module.
"""

import contextlib
import importlib
import secrets
import subprocess
import sys
from functools import cache
from urllib.parse import urlsplit

import psycopg2
import pytest
from django.db import models
from django.db.migrations import operations as ops
from django.db.migrations.loader import MigrationLoader

OURS = ("accounts", "bandits", "experiments", "recommendations")
CONTRACTING = (ops.DeleteModel, ops.RemoveField, ops.RenameField, ops.RenameModel)


@cache
def on_disk():
    """All migrations, without a look at the database."""
    return MigrationLoader(None)


def our_migrations():
    return {key: one for key, one in on_disk().disk_migrations.items() if key[0] in OURS}


def refused(migration, before):
    """Return what in a migration the release before could not live with.

    Args:
        migration: of ours.
        before: the state of all models that it starts from.
    """
    module = importlib.import_module(migration.__module__)
    if migration.initial or getattr(module, "contracts", ""):
        return []
    faults = []
    new = {op.name.lower() for op in migration.operations if isinstance(op, ops.CreateModel)}
    for op in migration.operations:
        table = getattr(op, "model_name", "").lower()
        if isinstance(op, CONTRACTING):
            faults.append(f"{op.describe()}: the release before uses it")
        elif isinstance(op, ops.AddField) and table not in new:
            field = op.field
            fills = field.null or field.has_db_default() or field.generated
            if not (fills or field.many_to_many):
                faults.append(f"{op.describe()}: NOT NULL without db_default")
        elif isinstance(op, ops.AlterField) and table not in new:
            was = before.models[migration.app_label, table].fields[op.name]
            if was.null and not op.field.null:
                faults.append(f"{op.describe()}: the release before writes NULL")
        elif isinstance(op, (ops.RunPython, ops.RunSQL)) and not op.reversible:
            faults.append(f"{op.describe()}: cannot be taken back")
    return faults


# These broke the rule while there was no release yet; one that is to run beside another's schema
# comes after all of them.
BEFORE_THE_FIRST_RELEASE = {
    ("accounts", "0002_apps_and_profile"),
    ("bandits", "0003_rebuild_due"),
    ("experiments", "0004_roll_up_step_kind"),
    ("experiments", "0005_retractions"),
}


@pytest.mark.parametrize("key", sorted(our_migrations()), ids=lambda key: "-".join(key))
def test_the_release_before_can_write_to_the_new_schema(key):
    faults = refused(our_migrations()[key], on_disk().project_state(key, at_end=False))
    assert bool(faults) == (key in BEFORE_THE_FIRST_RELEASE), faults


def migration_of(*operations):
    from django.db.migrations import Migration

    migration = Migration("new", "recommendations")
    migration.__class__ = type("Migration", (Migration,), {"__module__": __name__})
    migration.operations = list(operations)
    return migration


@pytest.mark.parametrize(
    ("operation", "is_fine"),
    [
        (ops.AddField("track", "x", models.IntegerField(null=True)), True),
        (ops.AddField("track", "x", models.IntegerField(db_default=0)), True),
        (ops.AddField("track", "x", models.IntegerField(default=0)), False),
        (ops.AddField("track", "x", models.TextField(blank=True)), False),
        (ops.AlterField("track", "popularity", models.IntegerField(null=True)), True),
        (ops.AlterField("track", "popularity", models.IntegerField(db_default=0)), False),
        (ops.RemoveField("track", "album"), False),
        (ops.RenameField("track", "album", "record"), False),
        (ops.DeleteModel("Hidden"), False),
        (ops.RunSQL("SELECT 1"), False),
        (ops.RunSQL("SELECT 1", "SELECT 1"), True),
    ],
)
def test_the_rule_tells_what_the_release_before_can_live_with(operation, is_fine):
    assert (refused(migration_of(operation), on_disk().project_state()) == []) is is_fine


def test_what_is_added_with_its_table_is_nobody_elses():
    new = ops.CreateModel("Thing", [("id", models.AutoField(primary_key=True))])
    field = ops.AddField("thing", "x", models.IntegerField(default=0))
    assert refused(migration_of(new, field), on_disk().project_state()) == []


_BACK_AND_FORTH = """
import django
django.setup()
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from django.db.migrations.loader import MigrationLoader
from accounts.models import Listener
from recommendations.models import Feedback, Recommendation, Taste
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
from recommendations.services.effects import drain_outbox
from recommendations.tests.factories import make_feedback, make_listener, make_track

def kept():
    return [
        list(Feedback.objects.values_list("event_id", "rating", "preference", "recommendation")),
        list(Recommendation.objects.values_list("pk", "tracks", "strategy")),
        list(Taste.objects.values_list("n_feedback", "preference_sum", "history")),
        Listener.objects.count(),
    ]

call_command("migrate", verbosity=0)
tracks = [make_track(genres=["rock"]) for _ in range(5)]
for _ in range(6):
    listener = make_listener(genres=["rock"])
    slate = recommend(listener=listener, wishes=Wishes(n=3), at=timezone.now()).recommendation
    track = next(track for track in tracks if track.pk in slate.tracks)
    make_feedback(
        listener=listener, track=track, kind="rating", rating=4, recommendation=slate,
        at=timezone.now(),
    )
drain_outbox(at=timezone.now())
before = kept()
ours = {key for key in MigrationLoader(None).disk_migrations if key[0] in OURS}
for app in reversed(OURS):
    call_command("migrate", app, min(name for a, name in ours if a == app), verbosity=0)
call_command("migrate", verbosity=0)
assert kept() == before, "rows were lost on the way"
assert ours <= set(MigrationLoader(connection).applied_migrations)
tables = set(connection.introspection.table_names())
assert {m._meta.db_table for m in apps.get_models() if m._meta.managed} <= tables
print("the same", len(before[0]), "responses")
"""


def test_migrations_go_back_and_forward_again_over_rows(child_environment, settings):
    """In a database and a process of its own: half a migration must not meet other tests."""
    name = f"migrations_{secrets.token_hex(4)}"
    with contextlib.closing(psycopg2.connect(settings.DATABASE_URL)) as admin:
        admin.autocommit = True
        admin.cursor().execute(f"CREATE DATABASE {name}")
        try:
            url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl()
            done = subprocess.run(  # noqa: S603 (our own command)
                [sys.executable, "-c", f"OURS = {OURS!r}\n{_BACK_AND_FORTH}"],
                env=child_environment | {"DATABASE_URL": url},
                cwd=settings.BASE_DIR,
                capture_output=True,
                text=True,
            )
        finally:
            admin.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert (done.returncode, done.stdout) == (0, "the same 6 responses\n"), done.stderr
