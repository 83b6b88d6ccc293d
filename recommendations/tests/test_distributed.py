"""Several processes that train one network: the same weights in all, and the loss of one alone."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from itertools import pairwise

import boto3
import numpy as np
import pytest
import redis
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from moto import mock_aws

from musicrec.tests.chaos.installation import children_of, wait_until
from recommendations import tasks
from recommendations.models import Feedback, PlayCount, TrainingRun
from recommendations.services import peers, snapshot
from recommendations.services import train as training
from recommendations.services.snapshot import take_snapshot
from recommendations.tests.factories import (
    NOW,
    make_catalogue,
    make_feedback_row,
    make_listener,
    make_play_count,
    make_run,
)
from recommendations.tests.test_training_runs import make_listening

_TRAIN = """
import json, sys
workers, index = json.loads(sys.argv[1]), int(sys.argv[2])
from recommendations.training.distributed import cluster
from recommendations.training.batches import BatchConfig
from recommendations.training.factorization import FactorizationConfig
from recommendations.training.fit import FitConfig, fit
from recommendations.training.network import NetworkConfig
from recommendations.training.network_training import OptimizerConfig
from recommendations.tests import small_world
config = FitConfig(
    factorization=FactorizationConfig(dim=8, sweeps=4),
    network=NetworkConfig(history_dim=8, layers=(8,), dropout=0.0),
    batches=BatchConfig(users_per_batch=20, negatives=40),
    optimizer=OptimizerConfig(min_epochs=8, max_epochs=8, check_every=8),
    validation_pairs=2 * small_world.N_LISTENERS,
)
losses = []
with cluster(workers, index):
    fitted = fit(
        small_world.interactions(), small_world.content(), config=config, seed=1,
        progress=lambda report: losses.append(report["loss"]) if "loss" in report else None,
    )
network = fitted.model.network
weights = [float(abs(a).sum()) for a in (network.item_factors, network.item_hidden, network.output)]
print(json.dumps({"losses": losses, "weights": weights, "metrics": fitted.metrics}))
"""


def free_addresses(n):
    probes = [socket.socket() for _ in range(n)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes]
    for probe in probes:
        probe.close()
    return addresses


def train_together(n):
    """What each of `n` processes came to."""
    addresses = free_addresses(n) if n > 1 else []
    processes = [
        subprocess.Popen(  # noqa: S603 (our own command)
            [sys.executable, "-c", _TRAIN, json.dumps(addresses), str(index)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"},
            cwd=django_settings.BASE_DIR,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(n)
    ]
    results = []
    for process in processes:
        out, err = process.communicate()
        assert process.returncode == 0, err[-3000:]
        results.append(json.loads(out.splitlines()[-1]))
    return results


@pytest.mark.slow
def test_two_processes_hold_the_same_weights_and_come_to_the_loss_of_one():
    (alone,) = train_together(1)
    chief, peer = train_together(2)
    assert chief["weights"] == pytest.approx(peer["weights"], rel=1e-6)
    assert chief["losses"] == pytest.approx(peer["losses"], rel=1e-6)
    # Each process draws its own negatives and hidden targets: the same loss, but for that.  The
    # second half of the epochs are the refit, over all pairs.
    one, two = (np.array(run["losses"][8:]) for run in (alone, chief))
    noise = np.sqrt((one.var(ddof=1) + two.var(ddof=1)) / len(one))
    assert abs(two.mean() - one.mean()) < 3 * noise


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
def test_the_command_trains_in_two_processes_and_leaves_none_behind(child_environment):
    make_listening(make_catalogue())
    done = subprocess.run(
        [sys.executable, "manage.py", "train", "--distributed", "2"],
        env=child_environment,
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run = TrainingRun.objects.get()
    assert run.status == TrainingRun.Status.SUCCEEDED
    assert training.load_version(run.version).n_tracks == 60
    assert list((django_settings.MODELS_DIR / ".snapshots").iterdir()) == []


@pytest.fixture
def trainers(child_environment, tmp_path):
    """Workers of the queues of a chief and of a peer, as two machines have them; their logs."""
    environment = child_environment | {"MUSICREC_TRAINING_WORKERS": ",".join(free_addresses(2))}
    logs, workers = [tmp_path / "chief.log", tmp_path / "peer.log"], []
    for log, queue in zip(logs, ("training", "training-1"), strict=True):
        command = [
            *(sys.executable, "-m", "celery", "-A", "musicrec", "worker", "-Q", queue),
            *("--concurrency", "1", "-n", f"{queue}@%h", "--without-gossip", "--without-mingle"),
        ]
        with log.open("w") as output:
            workers.append(
                subprocess.Popen(  # noqa: S603 (our own command)
                    command,
                    env=environment,
                    cwd=django_settings.BASE_DIR,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )
    yield logs
    for worker in workers:  # and whatever waits in a training that failed
        for pid in [*children_of(worker.pid), worker.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        worker.wait()


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
def test_a_queued_run_is_trained_by_workers_of_two_queues_together(trainers, settings):
    make_listening(make_catalogue())
    run = tasks.queue_training("manual")
    wait_until(
        lambda: not TrainingRun.objects.open().filter(pk=run.pk).exists(),
        seconds=500,
        what="the run has ended",
    )
    run.refresh_from_db()
    said = "\n".join(log.read_text(errors="replace")[-3000:] for log in trainers)
    assert (run.status, run.error) == ("succeeded", ""), said
    # The chief waits for its peer at every step: alone it comes to no model.
    assert training.load_version(run.version).n_tracks == 60
    assert list((django_settings.MODELS_DIR / ".snapshots").iterdir()) == []
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        assert [client.llen(queue) for queue in ("training", "training-1")] == [0, 0]


def make_unequal_listening():
    """Listeners with responses, play counts or both, one of them with most of all rows."""
    tracks = make_catalogue(12)
    for n in range(5):
        listener = make_listener()
        for m, track in enumerate(tracks[n : n + 6]):
            make_feedback_row(
                listener=listener,
                track=track,
                kind="rating",
                rating=1 + m % 5,
                preference=(m % 5) / 4,
                at=NOW.replace(minute=m),
            )
            make_play_count(listener=listener, track=track, plays=m + 1)
    counted, responding = make_listener(), make_listener()
    for m, track in enumerate(tracks):
        make_play_count(listener=counted, track=track, plays=m + 1)
        for n in range(5):  # what plays and skips show is their mean, added up in order of time
            at = NOW.replace(hour=n, minute=m)
            make_feedback_row(
                listener=responding, track=track, kind="play", preference=0.1 + n / 7, at=at
            )


@pytest.fixture
def bucket(settings, monkeypatch):
    """A bucket that models are kept in."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        settings.MODELS_URL = "s3://models-of-ours/production"
        yield boto3.resource("s3").create_bucket(Bucket="models-of-ours")


@pytest.mark.usefixtures("committed")
def test_a_training_ends_well_though_its_snapshot_cannot_be_removed(bucket):
    make_listening(make_catalogue())
    taken = take_snapshot()
    run = make_run(status="running")
    peers.share(run, taken.interactions, taken.content, taken.track_pks)
    bucket.objects.all().delete()
    bucket.delete()
    peers.forget(run)
    run.refresh_from_db()
    assert run.shared == ""
    assert list((django_settings.MODELS_DIR / ".snapshots").iterdir()) == []


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("shard_rows", [1, 7, 60, 100, 10_000])
def test_a_snapshot_is_the_same_however_many_shards_it_is_read_in(shard_rows):
    make_unequal_listening()
    whole, parts = take_snapshot(), take_snapshot(shard_rows=shard_rows)
    assert whole.describe() == parts.describe()
    assert whole.describe()["feedback"] == Feedback.objects.count() == 90
    assert whole.describe()["play_counts"] == PlayCount.objects.count() == 42
    for name in ("user_rows", "track_rows", "preference", "rating", "time", "weight"):
        one, other = (getattr(s.interactions, name) for s in (whole, parts))
        assert np.array_equal(one, other, equal_nan=name in ("rating", "time")), name


@pytest.mark.usefixtures("committed")
def test_a_snapshot_of_nothing_is_empty():
    assert len(take_snapshot(shard_rows=1).interactions) == 0


@pytest.mark.django_db
@pytest.mark.parametrize("shard_rows", [1, 13, 60, 100])
def test_a_shard_ends_with_the_listener_that_fills_it(shard_rows):
    make_unequal_listening()
    shards = list(
        snapshot.in_shards(snapshot._counts(), snapshot._responses(), shard_rows=shard_rows)
    )
    listeners = [[row[0] for table in shard for row in table] for shard in shards]
    assert sum(map(len, listeners)) == 132
    for own, later in pairwise(listeners):
        assert max(own) < min(later)
        assert len(own) >= shard_rows
    for own in listeners:
        assert len(own) - own.count(max(own)) < shard_rows


@pytest.mark.usefixtures("committed")
def test_a_snapshot_reads_each_table_once_however_many_shards_it_makes():
    make_unequal_listening()
    for model in (Feedback, PlayCount):
        with CaptureQueriesContext(connection) as queries:
            take_snapshot(shard_rows=1)
        reads = [q for q in queries if f'SELECT "{model._meta.db_table}"."listener_id"' in q["sql"]]
        assert len(reads) == 1, model


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("by", ["folder", "bucket"])
def test_what_a_chief_shares_its_peers_receive(by, request, settings, tmp_path):
    objects = request.getfixturevalue("bucket").objects if by == "bucket" else None
    chiefs = settings.MODELS_DIR
    make_listening(make_catalogue())
    taken = take_snapshot()
    run = make_run(status="running")
    peers.share(run, taken.interactions, taken.content, taken.track_pks)
    if by == "bucket":  # another machine, that has no folder in common with the chief's
        settings.MODELS_DIR = tmp_path / "peer"
    interactions, content, pks = peers.receive(run.pk)
    assert interactions.preference.tolist() == taken.interactions.preference.tolist()
    assert content.genre_names == taken.content.genre_names
    assert pks.tolist() == taken.track_pks.tolist()
    settings.MODELS_DIR = chiefs
    peers.forget(run)
    assert list((chiefs / ".snapshots").iterdir()) == []
    assert objects is None or list(objects.all()) == []
    TrainingRun.objects.update(status="failed")
    with pytest.raises(peers.NoSnapshot):
        peers.receive(run.pk)
