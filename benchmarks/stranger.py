"""A stranger's first hour: an integration that knows the API's description, and nothing else.

``python -m benchmarks.stranger URL KEY`` loads 1,000 tracks and 10,000 plays of 50 listeners over
HTTP, asks for their lists, sends feedback, and fails unless the lists change. The key comes from
``manage.py service_account create NAME``.
"""

from __future__ import annotations

import json
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any

N_TRACKS, N_PLAYS, N_LISTENERS = 1000, 10_000, 50
GENRES = ("ambient", "folk", "hip hop", "jazz", "metal", "pop", "soul", "techno")


class Api:
    """Calls as `docs/api.md` shows them."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url.rstrip("/"), key

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer's JSON.

        Raises:
            SystemExit: it is a refusal; says which.
        """
        request = urllib.request.Request(  # noqa: S310 (the caller's own server)
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                return json.loads(response.read() or "null")
        except urllib.error.HTTPError as error:
            problem = json.loads(error.read())
            sys.exit(f"{method} {path}: {problem['code']}: {problem['detail']}")


def main(url: str, key: str) -> int:
    """Integrate."""
    api, rng = Api(url, key), random.Random(7)  # noqa: S311 (made-up listening)
    run = uuid.uuid4().hex[:8]
    tracks = [
        {
            "track_id": f"{run}-{number}",
            "track_name": f"Song {number}",
            "artist": f"Artist {number % 250} of {run}",
            "genres": [GENRES[number % len(GENRES)]],
            "year": 1970 + number % 50,
            "popularity": rng.randrange(101),
            "audio": {"energy": round(rng.random(), 2), "valence": round(rng.random(), 2)},
        }
        for number in range(N_TRACKS)
    ]
    print("tracks:", api("PUT", "/tracks", tracks))
    people = [f"{run}-listener-{number}" for number in range(N_LISTENERS)]
    print("listeners:", api("PUT", "/listeners", [{"user_id": name} for name in people]))
    # Everybody plays one genre most.
    plays = []
    for number in range(N_PLAYS):
        person = number % N_LISTENERS
        own = rng.random() < 0.8
        genre = person % len(GENRES) if own else rng.randrange(len(GENRES))
        track = tracks[genre + len(GENRES) * rng.randrange(N_TRACKS // len(GENRES))]
        plays.append(
            {
                "event_id": f"{run}-{number}",
                "user_id": people[person],
                "track_id": track["track_id"],
                "kind": "play",
                "completion": round(rng.uniform(0.6, 1.0) if own else rng.uniform(0.0, 0.4), 2),
            }
        )
    began = time.perf_counter()
    taken = api("POST", "/feedback/bulk", plays)
    seconds = time.perf_counter() - began
    print(f"plays: {taken['recorded']} in {seconds:.1f} s, {len(plays) / seconds:,.0f} a second")
    again = api("POST", "/feedback/bulk", plays)
    if (taken["recorded"], again["duplicates"]) != (N_PLAYS, N_PLAYS):
        sys.exit(f"not every play was taken once: {taken['recorded']}, {again['duplicates']}")
    time.sleep(2.5)  # what the catalogue lags behind at most
    asked = {"user_ids": people, "n_recommendations": 10}
    first = api("POST", "/recommend/batch", asked)["results"]
    changed = 0
    for slate in first:
        disliked = slate["recommendations"][:3]
        for item in disliked:
            api(
                "POST",
                "/feedback",
                {
                    "user_id": slate["user_id"],
                    "track_id": item["track_id"],
                    "rating": 1,
                    "recommendation_id": slate["recommendation_id"],
                },
            )
        now = api("POST", "/recommend", {"user_id": slate["user_id"], "n_recommendations": 10})
        names = [item["track_id"] for item in now["recommendations"]]
        shown = [item["track_id"] for item in slate["recommendations"]]
        if {item["track_id"] for item in disliked} & set(names):
            sys.exit("a track that was rated 1 came again")
        changed += names != shown
    print(f"lists: {len(first)} asked for, {changed} changed after feedback")
    asked_for = f"Artist 7 of {run}"
    query = urllib.parse.urlencode({"q": asked_for.lower()})
    found = [artist["artist"] for artist in api("GET", f"/search?{query}")["artists"]]
    print("search:", found)
    if found[:1] != [asked_for]:
        sys.exit(f"{asked_for!r} is not what was found first")
    for name in people:
        api("DELETE", f"/listeners/{name}")
    print("listeners erased")
    return 0 if changed == len(first) == N_LISTENERS else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
