"""Where artefacts are kept: one contract for a folder and a bucket, and what only a bucket does."""

import errno
import json
import os
import resource

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from recommendations.core import artefact
from recommendations.core.artefact import MANIFEST, CorruptArtefact
from recommendations.services import train as training
from recommendations.serving import state
from recommendations.serving import storage as storages
from recommendations.serving.state import load_version, manifest_sha256
from recommendations.serving.storage import (
    FolderStore,
    S3Store,
    UnavailableArtefact,
    artefact_store,
)
from recommendations.tests.factories import make_run, make_version
from recommendations.tests.models import make_model

BUCKET = "models-of-ours"


@pytest.fixture
def bucket(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        yield s3


def saved(folder, seed=0):
    """A complete artefact in a new folder, and the checksum of its manifest."""
    artefact.save(folder, make_model(seed=seed))
    return folder, manifest_sha256(folder)


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path):
    """A store in which the artefact ``v1`` was published, and what is needed to fetch it."""
    if request.param == "folder":
        folder, checksum = saved(tmp_path / "models" / "v1")
        kept = FolderStore(tmp_path / "models")
    else:
        request.getfixturevalue("bucket")
        folder, checksum = saved(tmp_path / "worker" / "v1")
        kept = S3Store(BUCKET, "production/models", tmp_path / "web")
    kept.publish(folder)
    return kept, checksum


def test_what_was_published_is_fetched_and_loads_as_it_was(store):
    kept, checksum = store
    model = artefact.load(kept.fetch("v1", checksum))
    assert model.network.item_factors.tolist() == make_model().network.item_factors.tolist()


def test_another_artefact_under_the_name_is_refused(store):
    kept, _ = store
    with pytest.raises(CorruptArtefact, match="not the one that was registered"):
        kept.fetch("v1", "0" * 64)


def test_what_was_never_published_is_unavailable(store):
    kept, checksum = store
    with pytest.raises(UnavailableArtefact):
        kept.fetch("v2", checksum)


def test_a_copy_is_downloaded_once_and_serves_while_the_bucket_is_away(bucket, tmp_path):
    folder, checksum = saved(tmp_path / "worker" / "v1")
    S3Store(BUCKET, "m", tmp_path / "web").publish(folder)
    first = S3Store(BUCKET, "m", tmp_path / "web").fetch("v1", checksum)
    for key in [item["Key"] for item in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]]:
        bucket.delete_object(Bucket=BUCKET, Key=key)
    assert S3Store(BUCKET, "m", tmp_path / "web").fetch("v1", checksum) == first
    assert artefact.load(first).n_tracks == make_model().n_tracks
    with pytest.raises(UnavailableArtefact):
        S3Store(BUCKET, "m", tmp_path / "another-machine").fetch("v1", checksum)


def test_a_damaged_copy_is_downloaded_again(bucket, tmp_path):
    folder, checksum = saved(tmp_path / "worker" / "v1")
    kept = S3Store(BUCKET, "m", tmp_path / "web")
    kept.publish(folder)
    path = kept.fetch("v1", checksum) / "item_factors.npy"
    path.write_bytes(path.read_bytes()[:-8])
    assert artefact.load(kept.fetch("v1", checksum)).n_tracks


def test_an_array_that_was_altered_in_the_bucket_is_refused_and_leaves_nothing(bucket, tmp_path):
    folder, checksum = saved(tmp_path / "worker" / "v1")
    kept = S3Store(BUCKET, "m", tmp_path / "web")
    kept.publish(folder)
    bucket.put_object(Bucket=BUCKET, Key="m/v1/item_bias.npy", Body=b"something else")
    with pytest.raises(CorruptArtefact, match=r"item_bias\.npy does not match its checksum"):
        kept.fetch("v1", checksum)
    assert [path.name for path in (tmp_path / "web").iterdir()] == [".v1.lock"]


def test_the_manifest_goes_up_last_so_that_half_an_upload_is_nothing(bucket, tmp_path, monkeypatch):
    folder, checksum = saved(tmp_path / "worker" / "v1")
    kept = S3Store(BUCKET, "m", tmp_path / "web")
    upload, n = kept._s3.upload_file, 0

    def die_late(*arguments, **options):
        nonlocal n
        n += 1
        if n == 20:
            raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")
        upload(*arguments, **options)

    monkeypatch.setattr(kept._s3, "upload_file", die_late)
    with pytest.raises(UnavailableArtefact, match="cannot be uploaded"):
        kept.publish(folder)
    with pytest.raises(UnavailableArtefact):
        kept.fetch("v1", checksum)


def test_uploads_carry_a_checksum_that_the_bucket_verifies(bucket, tmp_path):
    folder, _ = saved(tmp_path / "worker" / "v1")
    S3Store(BUCKET, "", tmp_path / "web").publish(folder)
    head = bucket.head_object(Bucket=BUCKET, Key=f"v1/{MANIFEST}", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"]


def test_only_the_newest_copies_stay_on_the_disk(bucket, tmp_path):
    kept = S3Store(BUCKET, "m", tmp_path / "web")
    names = [f"v{n}" for n in range(storages.KEPT_COPIES + 2)]
    for seed, name in enumerate(names):
        folder, checksum = saved(tmp_path / "worker" / name, seed)
        kept.publish(folder)
        kept.fetch(name, checksum)
    left = {path.name for path in (tmp_path / "web").iterdir() if path.is_dir()}
    assert left == set(names[-storages.KEPT_COPIES :])


@pytest.mark.django_db
def test_web_processes_fetch_a_promotion_from_the_bucket_and_map_the_copy(
    bucket, tmp_path, settings, tracks, trained
):
    worker = settings.MODELS_DIR
    version = make_version(trained, tracks, promoted=False)
    settings.MODELS_URL = f"s3://{BUCKET}/production"
    artefact_store().publish(worker / version.folder)
    settings.MODELS_DIR = tmp_path / "web-copies"
    model = load_version(version)
    assert (settings.MODELS_DIR / version.folder / MANIFEST).is_file()
    assert str(settings.MODELS_DIR) in str(model.network.item_factors.base.filename)


@pytest.mark.django_db
def test_a_model_whose_store_was_away_serves_as_soon_as_it_answers(
    bucket, tmp_path, settings, tracks, trained, monkeypatch
):
    worker = settings.MODELS_DIR
    version = make_version(trained, tracks)
    settings.MODELS_URL = f"s3://{BUCKET}/production"
    settings.MODELS_DIR = tmp_path / "web-copies"
    state.forget()
    assert state.current().degraded == "no_usable_model"
    artefact_store().publish(worker / version.folder)
    monkeypatch.setattr(state, "TREND_SECONDS", -1.0)
    monkeypatch.setitem(settings.MUSICREC, "REFRESH_SECONDS", -1.0)
    stage = state.current()
    assert (stage.degraded, stage.loaded.version) == ("", version.pk)


@pytest.mark.django_db
def test_a_disk_that_is_full_while_fetching_leaves_the_model_that_serves_serving(
    bucket, tmp_path, settings, tracks, trained, monkeypatch
):
    worker = settings.MODELS_DIR
    settings.MODELS_URL = f"s3://{BUCKET}/production"
    first = make_version(trained, tracks)
    artefact_store().publish(worker / first.folder)
    settings.MODELS_DIR = tmp_path / "web-copies"
    monkeypatch.setitem(settings.MUSICREC, "REFRESH_SECONDS", -1.0)
    state.forget()
    assert state.current().degraded == ""
    settings.MODELS_DIR = worker
    second = make_version(trained, tracks)
    artefact_store().publish(worker / second.folder)
    settings.MODELS_DIR = tmp_path / "web-copies"
    # The kernel refuses to write on, as it does where the disk is full.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(UnavailableArtefact, match=os.strerror(errno.EFBIG)):
            load_version(second)
        stage = state.current()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (stage.loaded.version, stage.degraded) == (first.pk, "previous_model")
    assert [path.name for path in settings.MODELS_DIR.iterdir() if path.is_dir()] == [first.folder]
    monkeypatch.setattr(state, "TREND_SECONDS", -1.0)
    stage = state.current()  # there is room again
    assert (stage.loaded.version, stage.degraded) == (second.pk, "")


@pytest.mark.django_db
def test_what_a_dead_run_published_is_removed_and_nothing_else_is(
    bucket, tmp_path, settings, tracks, trained
):
    settings.MODELS_URL = f"s3://{BUCKET}/production"
    version = make_version(trained, tracks)
    for name in (version.folder, "run-000007-abcd1234", "run-000007-abcd12345"):
        if name != version.folder:
            saved(settings.MODELS_DIR / name)
        artefact_store().publish(settings.MODELS_DIR / name)
    (settings.MODELS_DIR / ".run-000007-abcd1234-half").mkdir()  # where a kill met the writing
    make_run(status="running", progress=[{"stage": "artefact", "folder": "run-000007-abcd1234"}])
    assert training.fail_dead_runs() == 1
    kept = {version.folder, "run-000007-abcd12345"}  # the second may be another database's
    assert {path.name for path in settings.MODELS_DIR.iterdir() if path.is_dir()} == kept
    objects = bucket.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert {found["Key"].split("/")[1] for found in objects} == kept


@pytest.mark.django_db
def test_a_dead_run_ends_also_where_the_bucket_does_not_answer(bucket, settings):
    settings.MODELS_URL = "s3://no-such-bucket/production"
    run = make_run(status="running", progress=[{"stage": "artefact", "folder": "run-1"}])
    saved(settings.MODELS_DIR / "run-1")
    assert training.fail_dead_runs() == 1
    run.refresh_from_db()
    assert run.status == "failed"
    assert list(settings.MODELS_DIR.iterdir()) == []


def test_the_manifest_of_a_copy_is_the_one_of_the_original(bucket, tmp_path):
    folder, checksum = saved(tmp_path / "worker" / "v1")
    kept = S3Store(BUCKET, "m", tmp_path / "web")
    kept.publish(folder)
    copy = kept.fetch("v1", checksum)
    assert json.loads((copy / MANIFEST).read_text()) == json.loads((folder / MANIFEST).read_text())
