"""What services wait for: feedback in bulk, many lists at once, search in 100,000 tracks.

``python -m benchmarks.services [FOLDER]``; against an embedded Postgres of its own.  Lists come
from a web server; feedback and search run in this process, through all of the API but the socket.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy, as in a web process

import numpy as np  # noqa: E402 - threads are set above

from benchmarks.machine import describe_machine, processor_seconds, thread_seconds  # noqa: E402 - same
from benchmarks.stand import ROOT, Stand  # noqa: E402 - same
from benchmarks.web import Client, connect_django  # noqa: E402 - same

N_TRACKS = 100_000
N_SEARCHES = 400
N_ROWS = 10_000
N_LISTENERS = 1_000
N_SINGLE = 200
N_BATCHES = 5
RUN = uuid.uuid4().hex[:8]
"""Names this run's listeners, so that every run begins with new ones and short histories."""

# Syllables of made-up names: about as many different words as a catalogue of this size has.
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "är", "øn", "it")]


def main() -> int:
    """Measure and print."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "var" / "bench-services"
    stand = Stand(folder)
    stand.prepare()
    if stand.is_new:
        print("Loading the demo and training its model", flush=True)
        stand.manage("load_demo")
        stand.manage("train", "--trigger", "first")
    connect_django(stand)
    from django.conf import settings

    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, 10**9)
    key = _service_key()
    client = _client(key)
    remove_made_tracks()
    measure_as_served()
    print(describe_machine())
    measure_bulk(client)
    measure_batch(stand, key)
    measure_search(client)
    print(describe_machine())
    return 0


def _service_key() -> str:
    from accounts.models import ServiceAccount
    from accounts.services import issue_service_key

    service, _ = ServiceAccount.objects.get_or_create(name="bench")
    _, secret = issue_service_key(
        service=service, scopes=["read", "write", "recommend"], at=datetime.now(UTC)
    )
    return secret


def _client(key: str) -> Any:
    from rest_framework.test import APIClient

    client = APIClient(SERVER_NAME="localhost")
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


def measure_as_served() -> None:
    """Collect garbage as rarely as web processes do; see deploy/gunicorn.conf.py."""
    from recommendations.serving import state

    state.current()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def measure_bulk(client: Any) -> None:
    """Send 10,000 plays at a time, of few listeners and of many, known and new."""
    from recommendations.models import Track

    tracks = list(Track.objects.order_by("pk").values_list("track_id", flat=True)[:800])
    rng = np.random.default_rng(1)
    began = datetime.now(UTC) - timedelta(days=30)
    for n_listeners in (50, N_LISTENERS, 10_000):
        rates, busy = [], []
        for _ in range(3):
            rows = [
                {
                    "event_id": uuid.uuid4().hex,
                    "user_id": f"{RUN}-{n_listeners}-{rng.integers(n_listeners)}",
                    "track_id": tracks[rng.integers(len(tracks))],
                    "kind": "play",
                    "completion": round(float(rng.random()), 2),
                    "occurred_at": (began + timedelta(seconds=60 * i)).isoformat(),
                }
                for i in range(N_ROWS)
            ]
            body = json.dumps(rows)
            start, spent = time.perf_counter(), _processor()
            answer = client.post("/feedback/bulk", body, content_type="application/json")
            seconds, spent = time.perf_counter() - start, _processor() - spent
            busy.append(N_ROWS / spent)
            if answer.status_code != 200 or answer.json()["recorded"] != N_ROWS:
                raise RuntimeError(answer.content[:500])
            rates.append(N_ROWS / seconds)
        told = ", ".join(f"{rate:,.0f}" for rate in rates)
        told_busy = ", ".join(f"{rate:,.0f}" for rate in busy)
        print(
            f"bulk feedback, {n_listeners:,} listeners: {told} rows a second; "
            f"{told_busy} a second of processor time",
            flush=True,
        )


def _processor() -> float:
    """Return the processor time of this process and of its database connection's, in seconds.

    On a busy machine it grows less than the time on the clock does.
    """
    from django.db import connection

    connection.ensure_connection()
    return time.process_time() + thread_seconds(connection.connection.get_backend_pid())


def measure_batch(stand: Stand, key: str) -> None:
    """Ask for the lists of 1,000 listeners one by one, and at once.

    Through the web server as it is deployed: what a batch saves is the requests themselves.
    """
    names = [f"{RUN}-{N_LISTENERS}-{number}" for number in range(N_LISTENERS)]
    ratios = []
    with stand.web() as web:

        def batch(client: Client) -> None:
            answer, _ = client.post("/recommend/batch", {"user_ids": names}, 0)
            if len(answer["results"]) != N_LISTENERS:
                raise RuntimeError(f"{len(answer['results'])} lists for {N_LISTENERS} listeners")

        def one_by_one(client: Client) -> None:
            for name in names[:N_SINGLE]:
                client.post("/recommend", {"user_id": name}, 0)

        def spent(act: Callable[[Client], None], n_lists: int) -> np.ndarray:
            """Return milliseconds per list, on the clock and of the server's processor time."""
            with ExitStack() as stack:  # a connection left idle would be closed by the server
                client = Client(web, [key], stack)
                began, used = time.perf_counter(), sum(map(processor_seconds, web.workers))
                act(client)
                used = sum(map(processor_seconds, web.workers)) - used
                return 1000 * np.array([time.perf_counter() - began, used]) / n_lists

        for _ in range(len(web.workers)):
            spent(batch, N_LISTENERS)  # folds every taste, and loads the model
        spent(one_by_one, N_SINGLE)
        for _ in range(N_BATCHES):
            single, many = spent(one_by_one, N_SINGLE), spent(batch, N_LISTENERS)
            ratios.append(single / many)
            print(
                f"a list, one by one and in a batch of {N_LISTENERS:,}: "
                f"{single[0]:.2f} and {many[0]:.2f} ms on the clock, "
                f"{single[1]:.2f} and {many[1]:.2f} ms of processor time",
                flush=True,
            )
    clock, processor = np.median(ratios, axis=0)
    print(
        f"batch, median of {N_BATCHES}: {clock:.1f} times faster on the clock, "
        f"{processor:.1f} times in processor time",
        flush=True,
    )


def _since(start: float, spent: float) -> np.ndarray:
    """Return milliseconds since, on the clock and of processor time."""
    return 1000 * np.array([time.perf_counter() - start, _processor() - spent])


def measure_search(client: Any) -> None:
    """Fill the catalogue up to 100,000 tracks, and search as one types."""
    from recommendations.models import Track
    from recommendations.services.upserts import upsert_tracks

    rng = np.random.default_rng(2)
    words = ["".join(rng.choice(_SYLLABLES, rng.integers(1, 4))) for _ in range(20_000)]
    weights = 1 / np.arange(1, len(words) + 1)  # few words are frequent, as in any language
    weights /= weights.sum()
    missing = N_TRACKS - Track.objects.count()
    if missing > 0:
        titles = rng.choice(words, (missing, 3), p=weights)
        artists = [" ".join(rng.choice(words, 2)) for _ in range(missing // 8)]
        rows = (
            {
                "track_id": f"bench-{number}",
                "track_name": " ".join(titles[number]),
                "artist": artists[int(rng.integers(len(artists)))],
                "genres": [words[int(rng.integers(200))]],
                "year": int(rng.integers(1950, 2025)),
                "popularity": int(rng.integers(101)),
            }
            for number in range(missing)
        )
        while chunk := list(itertools.islice(rows, 20_000)):
            upsert_tracks(chunk)
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE recommendations_track")
            cursor.execute("VACUUM ANALYZE recommendations_artist")
    text = [words[int(i)] for i in rng.choice(len(words), N_SEARCHES, p=weights)]
    kinds = {
        "/tracks?q= (1 letter)": [f"/tracks?q={word[0]}" for word in text],
        "/tracks?q= (3 letters)": [f"/tracks?q={word[:3]}" for word in text],
        "/tracks?q= (a word)": [f"/tracks?q={word}" for word in text],
        "/tracks?q= (two words)": [f"/tracks?q={a} {b[:3]}" for a, b in itertools.pairwise(text)],
        "/tracks?genre=": [f"/tracks?genre={words[i % 200]}" for i in range(N_SEARCHES)],
        "/tracks?year_from=&q=": [f"/tracks?year_from=1990&q={word[:2]}" for word in text],
        "/search?q= (2 letters)": [f"/search?q={word[:2]}" for word in text],
        "/search?q= (a word)": [f"/search?q={word}" for word in text],
    }
    client.credentials()
    client.get("/search?q=a")
    every: list[np.ndarray] = []
    for kind, addresses in kinds.items():
        taken = []
        for address in addresses:
            start, spent = time.perf_counter(), _processor()
            answer = client.get(address)
            taken.append(_since(start, spent))
            if answer.status_code != 200:
                raise RuntimeError(answer.content[:500])
        every += taken
        print(f"{kind:24} p50 {_told(taken, 50)}   p95 {_told(taken, 95)}", flush=True)
    print(f"all searches, {Track.objects.count():,} tracks: p95 {_told(every, 95)}")


def _told(taken: list[np.ndarray], share: float) -> str:
    """Return a percentile of both times as text."""
    clock, processor = np.percentile(taken, share, axis=0)
    return f"{clock:5.1f} ms ({processor:5.1f} ms of processor time)"


def remove_made_tracks() -> None:
    """Remove what an earlier search has made, so that every run ranks the same catalogue."""
    from recommendations.models import Artist, Track
    from recommendations.services.catalogue import touch_catalogue

    if Track.objects.filter(track_id__startswith="bench-").delete()[0]:
        Artist.objects.filter(tracks=None).delete()
        touch_catalogue()


if __name__ == "__main__":
    sys.exit(main())
