"""What listeners do, for locust: `benchmarks.load` starts it and reads what it writes down.

LOAD_TOKENS names a file with a token a line, LOAD_OUT the file of requests, one JSON array a line:
time, address, status (0: no answer), milliseconds, whether there was a Retry-After.  LOAD_PACE is
the seconds between two actions of a listener, two numbers with a comma; one number is kept however
long the answers take, so that a slow server is asked no less.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
from pathlib import Path

from locust import between, constant_pacing, events
from locust.contrib.fasthttp import FastHttpUser

TOKENS = itertools.cycle(Path(os.environ["LOAD_TOKENS"]).read_text().split())
OUT = Path(os.environ["LOAD_OUT"]).open("a")  # noqa: SIM115 (closed when locust quits)
PACE = [float(part) for part in os.environ.get("LOAD_PACE", "5,10").split(",")]
SHARE_OF_FEEDBACK = 0.1


class Listener(FastHttpUser):
    """Asks for a list nine times out of ten, and else rates a track of the last one."""

    wait_time = between(*PACE) if len(PACE) == 2 else constant_pacing(PACE[0])
    connection_timeout = network_timeout = 30.0

    def on_start(self) -> None:
        """Take an account."""
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
        with self.client.post(
            path, data=json.dumps(body), headers=self.headers, catch_response=True
        ) as answer:
            answer.success()  # what is no success is counted by who reads the file
        milliseconds = 1000 * (time.time() - began)
        status = answer.status_code or 0
        retry = bool(answer.headers and answer.headers.get("Retry-After"))
        OUT.write(json.dumps([began, path, status, round(milliseconds, 2), retry]) + "\n")
        return json.loads(answer.text) if status in (200, 201) else {}

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
