"""What listeners do, for locust: `benchmarks.load` starts it and reads what it writes down.

LOAD_TOKENS names a file with a token a line, LOAD_OUT the file of requests, one JSON array a line:
time, address, status (0: no answer), milliseconds, whether there was a Retry-After.  LOAD_PACE is
the seconds between two actions of a listener, two numbers with a comma; one number is kept however
long the answers take, so that a slow server is asked no less.

A listener asks through geventhttpclient, on which locust's own clients build: what they add costs
more than a refusal does, and in an overload the crowd would measure itself.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
from http.client import HTTPException
from pathlib import Path

from geventhttpclient import HTTPClient
from locust import User, between, constant_pacing, events

TOKENS = itertools.cycle(Path(os.environ["LOAD_TOKENS"]).read_text().split())
OUT = Path(os.environ["LOAD_OUT"]).open("a")  # noqa: SIM115 (closed when locust quits)
PACE = [float(part) for part in os.environ.get("LOAD_PACE", "5,10").split(",")]
SHARE_OF_FEEDBACK = 0.1


class Listener(User):
    """Asks for a list nine times out of ten, and else rates a track of the last one."""

    wait_time = between(*PACE) if len(PACE) == 2 else constant_pacing(PACE[0])

    def on_start(self) -> None:
        """Take an account."""
        self.client = HTTPClient.from_url(self.host, connection_timeout=30.0, network_timeout=30.0)
        self.headers = {
            "Authorization": f"Bearer {next(TOKENS)}",
            "Content-Type": "application/json",
            "Host": "localhost",
        }
        self.shown: list[tuple[str, str]] = []
        time.sleep(random.random() * PACE[-1])  # noqa: S311 (so that not all come at once)

    def ask(self, path: str, body: dict) -> dict:
        """Send one request and write down what came of it."""
        began = time.time()
        status, retry, text = 0, False, b""
        try:
            answer = self.client.post(path, body=json.dumps(body), headers=self.headers)
            text = answer.read()
            status, retry = answer.status_code, bool(answer.get("Retry-After"))
        except (OSError, HTTPException):
            self.client.close()  # no answer; a new connection for the next
        milliseconds = 1000 * (time.time() - began)
        OUT.write(json.dumps([began, path, status, round(milliseconds, 2), retry]) + "\n")
        return json.loads(text) if status in (200, 201) else {}

    def act(self) -> None:
        """Do one thing."""
        if self.shown and random.random() < SHARE_OF_FEEDBACK:  # noqa: S311 (no secret)
            slate, track = self.shown.pop()
            rating = random.randint(1, 5)  # noqa: S311 (no secret)
            body = {"track_id": track, "rating": rating, "recommendation_id": slate}
            self.ask("/feedback", body)
            return
        answer = self.ask("/recommend", {"n_recommendations": 10, "device_type": "mobile"})
        if answer:
            slate = answer["recommendation_id"]
            self.shown = [(slate, item["track_id"]) for item in answer["recommendations"]]

    tasks = [act]


@events.quitting.add_listener
def write_the_rest(**_: object) -> None:
    """Leave nothing in the buffer."""
    OUT.close()
