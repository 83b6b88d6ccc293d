"""Several web processes are one musicrec: what one learns or takes up, all have."""

import threading
from datetime import datetime, timedelta

import pytest

from musicrec.tests.chaos.installation import Client

pytestmark = [pytest.mark.slow, pytest.mark.chaos]

PROMOTE = """
import dataclasses
import django
django.setup()
from django.utils import timezone
from recommendations.models import Track
from recommendations.tests.factories import make_version
from recommendations.tests.models import make_model
tracks = list(Track.objects.order_by("pk"))
sizes = {"n_parameters": 1, "n_users": 1}
version = make_version(dataclasses.replace(make_model(len(tracks)), metadata=sizes), tracks)
print(version.pk, timezone.now().isoformat())
"""


def ask(serving, token):
    """Ask on a connection of its own, so that the processes take turns."""
    client = Client(serving.port, token)
    try:
        status, answer, _ = client.post("/recommend", {"n_recommendations": 5})
    finally:
        client.close()
    return status, answer


def test_a_response_that_one_process_took_is_known_to_all(serving):
    token = serving.tokens[1]
    _, before = ask(serving, token)
    rated = before["recommendations"][0]["track_id"]
    client = Client(serving.port, token)
    assert client.post("/feedback", {"track_id": rated, "rating": 5})[0] == 201
    client.close()
    for status, after in (ask(serving, token) for _ in range(12)):
        assert status == 200
        assert rated not in [item["track_id"] for item in after["recommendations"]]


def test_a_promotion_reaches_every_process_within_two_seconds_and_fails_no_request(serving):
    answers, stop = [], threading.Event()

    def keep_asking(token):
        while not stop.is_set():
            answers.append(ask(serving, token))

    threads = [threading.Thread(target=keep_asking, args=(t,)) for t in serving.tokens[2:5]]
    for thread in threads:
        thread.start()
    try:
        done = serving.python("-c", PROMOTE)
        assert done.returncode == 0, done.stderr
        version, promoted = done.stdout.split()
        late = datetime.fromisoformat(promoted) + timedelta(seconds=2)
        for _ in range(500):
            status, answer = ask(serving, serving.tokens[1])
            assert status == 200
            if datetime.fromisoformat(answer["generated_at"]) > late + timedelta(seconds=1):
                break
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {status for status, _ in answers} == {200}
    after = [a for _, a in answers if datetime.fromisoformat(a["generated_at"]) > late]
    assert after
    assert {answer["model_version"] for answer in after} == {int(version)}
