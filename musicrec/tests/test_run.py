"""The first steps of ``make run``."""

import os

import pytest

from accounts.models import Listener, User
from musicrec import run
from recommendations.models import Track


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to start in, and an environment that says nothing."""
    monkeypatch.setattr(run, "ROOT", tmp_path)
    for name in ("DJANGO_SECRET_KEY", *run.LAPTOP):
        monkeypatch.setenv(name, "")  # so that what is set meanwhile is taken back
        monkeypatch.delenv(name)
    return tmp_path


def test_a_new_machine_gets_a_secret_of_its_own_and_serves_without_tls(folder):
    run.write_env()
    lines = dict(line.split("=", 1) for line in _lines(folder))
    assert len(lines.pop("DJANGO_SECRET_KEY")) > 60
    assert lines == run.LAPTOP
    assert (folder / ".env").stat().st_mode & 0o077 == 0
    before = _lines(folder)
    run.write_env()
    assert _lines(folder) == before


def test_a_file_written_for_compose_serves_a_laptop_too(folder):
    (folder / ".env").write_text("DJANGO_SECRET_KEY=from-compose\n")
    run.write_env()
    assert {name: os.environ.get(name) for name in run.LAPTOP} == run.LAPTOP
    assert _lines(folder) == ["DJANGO_SECRET_KEY=from-compose"]


def test_what_the_file_says_is_left_alone(folder):
    (folder / ".env").write_text("DJANGO_SECRET_KEY=x\nDJANGO_HTTPS=true\n")
    run.write_env()
    assert "DJANGO_HTTPS" not in os.environ
    assert os.environ["DJANGO_ALLOWED_HOSTS"] == run.LAPTOP["DJANGO_ALLOWED_HOSTS"]


def test_who_brings_a_catalogue_can_start_without_the_demo(db, settings, tmp_path, monkeypatch):
    settings.STATIC_ROOT = tmp_path
    monkeypatch.setenv("DEMO", "0")
    with run.console.capture() as said:
        run.prepare(8000)
    assert "The catalogue is empty" in said.get()
    assert not Track.objects.exists()
    assert not Listener.objects.exists()
    assert User.objects.get().email == "operator@musicrec.local"


def _lines(folder):
    text = (folder / ".env").read_text()
    return [line for line in text.splitlines() if not line.startswith("#")]
