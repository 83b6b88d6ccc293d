"""A model that must not serve: the last good one does, and the run says what went wrong."""

import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction

from recommendations.core import artefact
from recommendations.core.artefact import MANIFEST
from recommendations.models import ModelVersion, ServingState, TrainingRun
from recommendations.services import train as training
from recommendations.serving import state
from recommendations.serving.state import manifest_sha256
from recommendations.tests.factories import NOW, make_catalogue, make_version
from recommendations.tests.test_training_runs import make_listening


def truncated(folder):
    path = folder / "item_factors.npy"
    path.write_bytes(path.read_bytes()[:-8])


def missing(folder):
    (folder / "item_factors.npy").unlink()


def not_finite(folder):
    path = folder / "popularity.npy"
    array = np.load(path)
    array[0] = np.nan
    np.save(path, array)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["arrays"]["popularity"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def newer_schema(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["schema_version"] = artefact.SCHEMA_VERSION + 1
    (folder / MANIFEST).write_text(json.dumps(manifest))


def gone(folder):
    folder.rename(folder.with_name("elsewhere"))


@pytest.mark.chaos
@pytest.mark.django_db
@pytest.mark.parametrize("fault", [truncated, missing, not_finite, newer_schema, gone])
def test_the_last_good_model_serves_and_lists_say_so(fault, api, version, tracks, trained):
    bad = make_version(trained, tracks)
    fault(django_settings.MODELS_DIR / bad.folder)
    if fault in (not_finite, newer_schema):  # registered like that: only what is inside is wrong
        checksum = manifest_sha256(django_settings.MODELS_DIR / bad.folder)
        ModelVersion.objects.filter(pk=bad.pk).update(manifest_sha256=checksum)
    state.forget()
    stage = state.current()
    assert (stage.loaded.version, stage.degraded) == (version.pk, "previous_model")
    answer = api.post("/recommend", {"n_recommendations": 10}).json()
    assert len(answer["recommendations"]) == 10
    with pytest.raises(training.NotServable):
        training.promote(bad, at=NOW)


def train_run(run, environment, **options):
    return subprocess.Popen(  # noqa: S603 (our own command)
        [sys.executable, "manage.py", "train", "--run", str(run.pk)],
        env=environment,
        cwd=django_settings.BASE_DIR,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


STAGES = (
    "snapshot",
    "split",
    "factorization",
    "item_to_item",
    "network",
    "blend",
    "calibration",
    "refit",
    "artefact",
    "comparison",
)


@contextlib.contextmanager
def no_version_can_be_written():
    """Let whoever writes a version wait: the last thing that a training does."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {ModelVersion._meta.db_table} IN SHARE MODE")
        yield


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("stage", STAGES[-1:] if os.environ.get("CHAOS") == "short" else STAGES)
def test_a_training_killed_at_any_stage_changes_nothing(stage, child_environment, trained):
    tracks = make_catalogue()
    champion = make_version(trained, tracks)
    make_listening(tracks)
    before = ServingState.objects.values().get()
    run = training.request_training(trigger="manual", at=NOW)
    with no_version_can_be_written():
        child = train_run(run, child_environment)
        try:
            assert any(line.startswith(f"{stage}:") for line in child.stderr), "it ended before"
        finally:
            child.kill()
            child.wait()
            child.stderr.close()
    with connection.cursor() as cursor:  # Postgres notices in its own time that nobody is there
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [training._LOCK_SPACE, run.pk])
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [training._LOCK_SPACE, run.pk])
    if stage == STAGES[-1]:  # all of it was there
        assert len(list(django_settings.MODELS_DIR.iterdir())) == 2
    training.fail_dead_runs()
    run.refresh_from_db()
    assert (run.status, bool(run.error)) == (TrainingRun.Status.FAILED, True)
    assert ServingState.objects.values().get() == before
    assert list(ModelVersion.objects.all()) == [champion]
    assert [path.name for path in django_settings.MODELS_DIR.iterdir()] == [champion.folder]
    assert training.request_training(trigger="manual", at=NOW).status == TrainingRun.Status.QUEUED


@pytest.mark.django_db
def test_a_run_that_died_after_its_version_was_written_has_succeeded(tracks, trained):
    version = make_version(trained, tracks)
    TrainingRun.objects.filter(pk=version.run_id).update(
        status=TrainingRun.Status.RUNNING,
        progress=[{"stage": "artefact", "folder": version.folder}],
    )
    assert training.fail_dead_runs() == 0
    version.run.refresh_from_db()
    assert version.run.status == TrainingRun.Status.SUCCEEDED
    assert training.load_version(version).n_tracks == len(tracks)


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.usefixtures("committed")
def test_a_run_whose_version_is_refused_leaves_no_artefact(child_environment, trained):
    tracks = make_catalogue()
    champion = make_version(trained, tracks)
    make_listening(tracks)
    run = training.request_training(trigger="manual", at=NOW)
    table = ModelVersion._meta.db_table
    with connection.cursor() as cursor:  # as a database whose disk is full does
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
    try:
        child = train_run(run, child_environment)
        child.communicate()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT full_disk")
    run.refresh_from_db()
    assert run.status == TrainingRun.Status.FAILED
    assert "full_disk" in run.error
    assert [path.name for path in django_settings.MODELS_DIR.iterdir()] == [champion.folder]


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.usefixtures("committed")
def test_a_full_disk_fails_the_run_by_name_and_the_champion_serves(child_environment, trained):
    tracks = make_catalogue()
    champion = make_version(trained, tracks)
    make_listening(tracks)
    before = ServingState.objects.values().get()
    run = training.request_training(trigger="manual", at=NOW)

    def no_more_than_4_kb():
        # The kernel refuses to write on, as it does where the disk is full.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    child = train_run(run, child_environment, preexec_fn=no_more_than_4_kb)
    child.communicate()
    assert child.returncode != 0
    run.refresh_from_db()
    assert run.status == TrainingRun.Status.FAILED
    assert os.strerror(27) in run.error  # File too large
    assert ServingState.objects.values().get() == before
    assert list(ModelVersion.objects.all()) == [champion]
    assert [path.name for path in django_settings.MODELS_DIR.iterdir()] == [champion.folder]
