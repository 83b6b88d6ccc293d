"""The commands of the compose file, as processes, with production's settings: a list comes out."""

import json

import pytest
import yaml

from musicrec.tests.chaos.installation import ROOT, Client, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.chaos]


def commands():
    """Commands of the compose file by service; of the web service, that of its image."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    image = json.loads(dockerfile.rsplit("\nCMD ", 1)[1])
    return {"web": image} | {
        name: service["command"]
        for name, service in services.items()
        if service["image"] == "musicrec-worker"
    }


def as_module(command):
    """Return arguments for this Python instead of an executable on the image's PATH."""
    name, *rest = command
    return rest if name == "python" else ["-m", name, *rest]


def test_the_entry_points_serve_over_https_learn_and_stop_when_asked(installation):
    entry = commands()
    assert installation.python(*as_module(entry["migrate"])).returncode == 0
    collected = installation.manage("collectstatic", "--no-input", "--verbosity", "0")
    assert collected.returncode == 0, collected.stderr
    for name in ("worker", "training", "beat"):
        installation.start(name, *as_module(entry[name]))
    bind = entry["web"].index("-b") + 1
    entry["web"][bind] = f"127.0.0.1:{installation.port}"
    installation.start("web", *as_module(entry["web"]))
    wait_until(installation.is_ready, seconds=300, what="ready", log=installation.log("web"))
    status, _ = installation.get("/", **{"X-Forwarded-Proto": "http"})
    assert status == 301  # to https
    assert installation.get("/", Host="elsewhere.example")[0] == 400
    assert installation.get("/livez", Host="10.0.0.9")[0] == 200
    assert installation.get("/", Accept="text/html")[0] == 200  # with its hashed static files
    assert installation.get("/metrics")[0] == 404
    token = f"Bearer {installation.metrics_token}"
    client = Client(installation.port, installation.tokens[0])
    status, answer, _ = client.post("/recommend", {"n_recommendations": 10})
    assert (status, len(answer["recommendations"])) == (200, 10)
    track = answer["recommendations"][0]["track_id"]
    status, _, _ = client.post("/feedback", {"track_id": track, "rating": 5})
    assert status == 201
    wait_until(
        lambda: installation.query(
            "SELECT count(*) FROM recommendations_outboxevent WHERE closed_at IS NULL"
        ) == [(0,)],
        seconds=60,
        what="the worker applies the effects",
        log=installation.log("worker"),
    )  # fmt: skip
    counts = installation.get("/metrics", Authorization=token)[1].decode()
    assert "musicrec_slates_total" in counts
    assert "musicrec_outbox_open 0.0" in counts
    for line in installation.log("web").splitlines():
        if line.startswith("{"):
            json.loads(line)
    assert installation.stop("web") == 0
    for name in ("beat", "worker", "training"):
        assert installation.stop(name) == 0
