"""The embedded servers: shared by who joins, stopped by who leaves last."""

import os
import subprocess
import sys

import psycopg2
import pytest
import redis

from musicrec import embedded

_JOIN = """
import sys
from pathlib import Path
from musicrec import embedded

folder = Path(sys.argv[2])
if sys.argv[1] == "redis":
    print(embedded.start_redis(folder), flush=True)
else:
    print(embedded.start_postgres(folder, durable=False), flush=True)
sys.stdin.read()  # until the test closes it
"""


class Member:
    """A process that joins a server and stays until it is told to leave."""

    def __init__(self, kind, folder):
        self._process = subprocess.Popen(  # noqa: S603 (our own command)
            [sys.executable, "-c", _JOIN, kind, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def url(self):
        """Wait until it has joined."""
        return self._process.stdout.readline().strip()

    def leave(self):
        self._process.communicate(timeout=60)
        return self._process.returncode

    def kill(self):
        self._process.kill()
        self._process.communicate(timeout=60)


@pytest.fixture
def join():
    members = []

    def join(kind, folder):
        members.append(Member(kind, folder))
        return members[-1]

    yield join
    for member in members:
        if member._process.returncode is None:
            member.leave()  # and stop the server, if it is the last one


def redis_answers(url):
    try:
        with redis.Redis.from_url(url) as client:
            return client.ping()
    except redis.ConnectionError:
        return False


def postgres_answers(url):
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


ANSWERS = {"redis": redis_answers, "postgres": postgres_answers}


@pytest.mark.parametrize("kind", ANSWERS)
def test_two_processes_at_once_share_one_server_and_the_last_one_stops_it(join, tmp_path, kind):
    answers = ANSWERS[kind]
    first, second = (join(kind, tmp_path / kind) for _ in range(2))
    url = first.url()
    assert url
    assert second.url() == url
    assert answers(url)
    assert first.leave() == 0
    assert answers(url)
    assert second.leave() == 0
    assert not answers(url)


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_killed_process_does_not_keep_a_server_running(join, tmp_path, kind):
    killed, other = (join(kind, tmp_path / kind) for _ in range(2))
    url = killed.url()
    assert other.url() == url
    killed.kill()
    assert ANSWERS[kind](url)
    other.leave()
    assert not ANSWERS[kind](url)


def test_the_one_that_comes_after_a_crash_starts_redis_anew(join, tmp_path):
    first = join("redis", tmp_path / "redis")
    url = first.url()
    first.kill()
    with redis.Redis.from_url(url) as client:
        client.shutdown(nosave=True)
    again = join("redis", tmp_path / "redis").url()
    assert again != url
    assert redis_answers(again)


def test_redis_is_behind_a_password_that_only_this_user_can_read(join, tmp_path):
    url = join("redis", tmp_path / "redis").url()
    stranger = redis.Redis.from_url("redis://" + url.split("@")[1])
    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    for name in ("redis.conf", "url"):
        assert (tmp_path / "redis" / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("start", [embedded.start_redis, embedded.start_postgres])
def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path, start):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(embedded.EmbeddedServerError, match=r"^The folder .* cannot be written"):
        start(tmp_path / "file" / "below" / "server")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_said_in_one_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(embedded.EmbeddedServerError, match=r"^The folder .* cannot be written"):
        embedded.start_redis(tmp_path / "redis")
