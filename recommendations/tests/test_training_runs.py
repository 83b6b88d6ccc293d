"""Training runs: one at a time, once each, and nothing left behind by one that dies."""

import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from recommendations.models import ModelVersion, Retraction, ServingState, TrainingRun
from recommendations.services import train as training
from recommendations.services.snapshot import take_snapshot
from recommendations.tests import small_world
from recommendations.tests.factories import (
    NOW,
    make_catalogue,
    make_feedback_row,
    make_listener,
    make_run,
    make_token,
    make_track,
    make_version,
)

Status = TrainingRun.Status


def make_listening(tracks):
    """The small world's responses, as rows."""
    known = small_world.interactions()
    listeners = [make_listener() for _ in range(small_world.N_LISTENERS)]
    for user, track, rating in zip(known.user_rows, known.track_rows, known.rating, strict=True):
        make_feedback_row(
            listener=listeners[user],
            track=tracks[track],
            kind="rating",
            rating=int(rating),
            preference=(float(rating) - 1) / 4,
        )


@pytest.mark.django_db
@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_there_is_one_open_run_at_most(status):
    make_run(status=status)
    with pytest.raises(training.TrainingUnderWay):
        training.request_training(trigger="manual", at=NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_run(status=Status.QUEUED)


@pytest.mark.django_db
def test_a_closed_run_is_in_nobodys_way():
    for status in (Status.SUCCEEDED, Status.FAILED):
        make_run(status=status)
    assert training.request_training(trigger="manual", at=NOW).status == Status.QUEUED


@pytest.mark.django_db
@pytest.mark.parametrize("status", [Status.RUNNING, Status.SUCCEEDED, Status.FAILED])
def test_a_second_delivery_does_nothing(status):
    run = make_run(status=status)
    assert training.train(run) is None
    run.refresh_from_db()
    assert (run.status, run.finished_at) == (status, None)


@pytest.mark.usefixtures("committed")
def test_a_run_that_another_process_holds_is_not_taken(child_environment):
    run = make_run(status=Status.QUEUED)
    with training._lock(run) as held:
        assert held
        done = subprocess.run(  # noqa: S603 (our own command)
            [sys.executable, "manage.py", "train", "--run", str(run.pk)],
            env=child_environment,
            cwd=django_settings.BASE_DIR,
            capture_output=True,
            text=True,
        )
    assert done.stdout == f"Run {run.pk} was not waiting; nothing to do.\n"
    run.refresh_from_db()
    assert run.status == Status.QUEUED


@pytest.mark.usefixtures("committed")
def test_a_killed_training_leaves_its_run_failed_and_nothing_else_changed(
    child_environment, trained
):
    tracks = make_catalogue()
    champion = make_version(trained, tracks)
    make_listening(tracks)
    run = training.request_training(trigger="manual", at=NOW)
    before = ServingState.objects.values().get()
    child = subprocess.Popen(  # noqa: S603 (our own command)
        [sys.executable, "manage.py", "train", "--run", str(run.pk)],
        env=child_environment,
        cwd=django_settings.BASE_DIR,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert any(line.startswith("snapshot:") for line in child.stderr)
        run.refresh_from_db()
        assert run.status == Status.RUNNING
        assert training.fail_dead_runs() == 0  # it works yet
    finally:
        child.kill()
        assert child.wait() == -signal.SIGKILL
        child.stderr.close()
    with connection.cursor() as cursor:  # Postgres notices in its own time that nobody is there
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [training._LOCK_SPACE, run.pk])
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [training._LOCK_SPACE, run.pk])
    assert training.fail_dead_runs() == 1
    run.refresh_from_db()
    assert (run.status, run.error) == (
        Status.FAILED,
        "The training process ended without finishing.",
    )
    assert run.finished_at is not None
    assert ServingState.objects.values().get() == before
    assert list(ModelVersion.objects.all()) == [champion]
    assert [path.name for path in django_settings.MODELS_DIR.iterdir()] == [champion.folder]
    assert training.request_training(trigger="manual", at=NOW).status == Status.QUEUED


@pytest.mark.usefixtures("committed")
def test_without_anything_to_learn_the_run_fails_and_says_why(child_environment):
    make_catalogue(3)
    done = subprocess.run(
        [sys.executable, "manage.py", "train"],
        env=child_environment,
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "There are no plays, ratings or other responses to learn from." in done.stderr
    assert "Traceback" not in done.stderr
    run = TrainingRun.objects.get()
    assert (run.status, ModelVersion.objects.count()) == (Status.FAILED, 0)
    assert run.error.startswith("NothingToLearn: ")


# -- what it learns from -------------------------------------------------------------------------


@pytest.mark.usefixtures("committed")
def test_nothing_is_learned_from_what_was_taken_back_or_is_nobodys():
    listener = make_listener()
    first, second, third = (make_track() for _ in range(3))
    make_feedback_row(listener=listener, track=first)
    make_feedback_row(listener=None, track=second)
    retracted = make_feedback_row(listener=listener, track=third)
    Retraction.objects.create(feedback=retracted, retracted_at=NOW)
    snapshot = take_snapshot()
    assert snapshot.n_feedback == 1
    assert snapshot.listener_pks.tolist() == [listener.pk]


# -- when a run is due ---------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_run_is_due_after_so_much_new_feedback_and_not_while_one_is_open(settings):
    settings.MUSICREC = {**settings.MUSICREC, "RETRAIN_AFTER": 3}
    listener = make_listener()
    rows = [make_feedback_row(listener=listener, track=make_track()) for _ in range(2)]
    assert not training.is_due(at=timezone.now())
    rows.append(make_feedback_row(listener=listener, track=make_track()))
    assert training.is_due(at=timezone.now())
    run = make_run(status=Status.QUEUED)
    assert not training.is_due(at=timezone.now())
    TrainingRun.objects.filter(pk=run.pk).update(
        status=Status.SUCCEEDED, snapshot={"last_feedback": rows[0].pk}
    )
    assert not training.is_due(at=timezone.now())
    make_feedback_row(listener=listener, track=make_track())
    assert training.is_due(at=timezone.now())


@pytest.mark.django_db
def test_after_a_failure_the_next_run_is_not_due_for_an_hour(settings):
    settings.MUSICREC = {**settings.MUSICREC, "RETRAIN_AFTER": 1}
    make_feedback_row(listener=make_listener(), track=make_track())
    now = timezone.now()
    failed = make_run(status=Status.FAILED, finished_at=now)
    assert not training.is_due(at=now + training.RETRY_AFTER / 2)
    assert training.is_due(at=now + training.RETRY_AFTER)
    make_run(
        status=Status.SUCCEEDED,
        requested_at=failed.requested_at + timedelta(seconds=1),
        finished_at=now,
    )
    assert training.is_due(at=now)


# -- the web process -----------------------------------------------------------------------------

_SERVE = """
import io, sys
from musicrec.wsgi import application
from django.urls import get_resolver

def walk(patterns):
    for pattern in patterns:
        yield from walk(pattern.url_patterns) if hasattr(pattern, "url_patterns") else [pattern]

print(len(list(walk(get_resolver().url_patterns))), "addresses")
body = b'{"n_recommendations": 5}'
for method, path in (("GET", "/"), ("GET", "/readyz"), ("POST", "/recommend"), ("GET", "/schema")):
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SERVER_NAME": "testserver",
        "SERVER_PORT": "80", "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json", "wsgi.url_scheme": "http", "wsgi.errors": sys.stderr,
        "HTTP_AUTHORIZATION": "Bearer " + sys.argv[1],
    }
    answer = application(environ, lambda status, headers: print(path, status))
    list(answer)
print(sorted({"tensorflow", "keras"} & set(sys.modules)))
"""


@pytest.mark.usefixtures("committed")
def test_a_web_process_never_imports_tensorflow(child_environment, trained):
    make_version(trained, make_catalogue())
    done = subprocess.run(  # noqa: S603 (our own command)
        [sys.executable, "-c", _SERVE, make_token(make_listener(genres=["rock"]))],
        env=child_environment,
        cwd=django_settings.BASE_DIR,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    first, *answers, modules = done.stdout.splitlines()
    assert int(first.split()[0]) > 20
    assert answers == ["/ 200 OK", "/readyz 200 OK", "/recommend 200 OK", "/schema 200 OK"]
    assert modules == "[]"
