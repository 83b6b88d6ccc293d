"""Why a listener got a list, and what another strategy or model would have given them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.conf import settings

from accounts.models import Listener
from accounts.vocabulary import Device, Mood
from recommendations.core.history import History
from recommendations.core.rule_trace import Fate, fates
from recommendations.models import ModelVersion, Recommendation, Taste
from recommendations.services import policy as policies
from recommendations.services import taste as tastes
from recommendations.services.ranking import banned_tracks, rank, set_scene, soft_bans_of
from recommendations.services.recommend import predict
from recommendations.services.versions import NotReadable, looking, stage_of
from recommendations.services.wishes import Wishes
from recommendations.serving import state
from recommendations.serving.catalogue import Catalogue
from recommendations.serving.state import Stage
from recommendations.serving.strategies import STRATEGIES, Scene, explanation

TRACED = 40
"""Candidates shown with their fate, besides those on the slate."""

TOP = 8


@dataclass(frozen=True)
class Place:
    """A track on a list, or a candidate for one.

    Attributes:
        pk: primary key of the track.
        score: of the strategy; None where it had no opinion.
        expected: rating, 1 to 5, or None.
        reason: what raised its score, in words.
        other_place: where the list beside has it, from 1, or None.
    """

    pk: int
    track_id: str
    name: str
    artist: str
    score: float | None
    expected: float | None = None
    reason: str = ""
    other_place: int | None = None


@dataclass(frozen=True)
class Ranking:
    """A list as a strategy and the rules would make it.

    Attributes:
        title: the strategy, or the model.
        served: the strategy that made it, where that is another than asked for.
        fallback: why, or "".
    """

    title: str
    strategy: str
    served: str
    fallback: str
    places: list[Place]


@dataclass(frozen=True)
class Candidate:
    """A track with its scores and what became of it."""

    place: Place
    raw_score: float | None
    score: float | None
    rank: int
    on_slate: int | None
    rule: str


@dataclass(frozen=True)
class Replay:
    """A slate computed again from what was known of the listener then.

    Attributes:
        agreement: how many of the tracks shown the replay shows too.
        shown: how many were shown.
        same_order: whether it is the same list.
        relaxed: the rule that gave way, or None.
        tilted: whether mood or the like moved the strategy's scores.
        candidates: the best by score, and the slate's own.
        differs_because: what cannot be brought back, in words.
    """

    agreement: int
    shown: int
    same_order: bool
    relaxed: str | None
    tilted: bool
    candidates: list[Candidate]
    differs_because: list[str]


def wishes_of(slate: Recommendation) -> Wishes:
    """Return what the request of a slate asked for."""
    kinds: dict[str, Any] = {"mood": Mood, "device": Device}
    known = {field.name for field in dataclasses.fields(Wishes)}
    given: dict[str, Any] = {}
    for name, value in slate.context.items():
        if name in known and name != "n":
            kind = kinds.get(name)
            given[name] = (
                kind(value) if kind else tuple(value) if isinstance(value, list) else value
            )
    return Wishes(n=max(len(slate.tracks), 1), **given)


def replay(slate: Recommendation, *, what_if: str = "") -> tuple[Replay, Ranking | None]:
    """Compute a slate again as of its time, and with another strategy beside.

    Args:
        slate: of a listener who is still here.
        what_if: name of a strategy, or "".

    Raises:
        NotReadable: the model it was made with is gone.
        Busy: see `versions.looking`.
    """
    with looking():
        listener = slate.listener
        stage = stage_of(slate.model_version, state.current())
        taste = tastes.build_taste(listener, until=slate.created_at)
        wishes = wishes_of(slate)
        scene = set_scene(listener, taste, wishes, stage)
        other = _ranking(what_if, what_if, scene, taste, wishes, slate) if what_if else None
        return _replay(slate, scene, taste, wishes), other


def _replay(slate: Recommendation, scene: Scene, taste: Taste, wishes: Wishes) -> Replay:
    strategy = slate.strategy if slate.strategy in STRATEGIES else "trending"
    if not STRATEGIES[strategy].is_available(scene.stage):
        raise NotReadable(f"{strategy} needs a model, and the list does not say which it had.")
    raw = STRATEGIES[strategy].scores(scene)
    again, scores = rank(scene, strategy, taste, wishes, slate.created_at, seed=slate.id.int)
    catalogue = scene.catalogue
    shown = catalogue.pks[again.rows].tolist()
    found = fates(
        scores,
        again,
        banned=banned_tracks(scene, taste, wishes, slate.created_at),
        soft_bans=soft_bans_of(scene, wishes, slate.created_at),
        artists=catalogue.artist_rows,
        max_per_artist=settings.MUSICREC["MAX_PER_ARTIST"],
        n=TRACED,
    )
    tilted = not np.array_equal(raw, scores, equal_nan=True)
    return Replay(
        agreement=len(set(shown) & set(slate.tracks)),
        shown=len(slate.tracks),
        same_order=shown == slate.tracks,
        relaxed=again.relaxed,
        tilted=tilted,
        candidates=[_candidate(fate, raw, scene) for fate in found],
        differs_because=_what_is_lost(slate, shown),
    )


def _what_is_lost(slate: Recommendation, shown: list[int]) -> list[str]:
    if shown == slate.tracks:
        return []
    lost = ["tracks hidden or shown again since"]
    if slate.strategy in ("trending", "discovery"):
        lost.append("what was trending at that hour")
    lost.append("preferences stated anew since, and play counts imported since")
    return lost


def _candidate(fate: Fate, raw: np.ndarray, scene: Scene) -> Candidate:
    return Candidate(
        place=_place(fate.row, scene.catalogue, fate.score),
        raw_score=_finite(raw[fate.row]),
        score=_finite(fate.score),
        rank=fate.rank,
        on_slate=fate.place,
        rule=fate.rule,
    )


def _ranking(
    title: str, strategy: str, scene: Scene, taste: Taste, wishes: Wishes, slate: Recommendation
) -> Ranking:
    return _list(
        title,
        strategy,
        scene,
        taste,
        wishes,
        at=slate.created_at,
        seed=slate.id.int,
        beside=slate.tracks,
    )


def _list(
    title: str,
    strategy: str,
    scene: Scene,
    taste: Taste,
    wishes: Wishes,
    *,
    at: datetime,
    seed: int,
    beside: list[int] | None = None,
) -> Ranking:
    served, fallback = policies.servable(strategy, scene)
    slate, scores = rank(scene, served, taste, wishes, at, seed=seed)
    expected, _ = predict(scene, slate.rows)
    elsewhere = {pk: place for place, pk in enumerate(beside or [], start=1)}
    rows = slate.rows.tolist()
    places = [
        dataclasses.replace(
            _place(row, scene.catalogue, scores[row]),
            expected=_finite(rating),
            reason=explanation(why),
            other_place=elsewhere.get(int(scene.catalogue.pks[row])),
        )
        for row, rating, why in zip(
            rows, expected, STRATEGIES[served].reasons(scene, rows), strict=True
        )
    ]
    return Ranking(title, strategy, served, fallback, places)


def _place(row: int, catalogue: Catalogue, score: float) -> Place:
    return Place(
        pk=int(catalogue.pks[row]),
        track_id=catalogue.track_ids[row],
        name=catalogue.names[row],
        artist=catalogue.artist(row),
        score=_finite(score),
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def compare_versions(
    listener: Listener,
    first: ModelVersion,
    second: ModelVersion,
    *,
    strategy: str,
    at: datetime,
    n: int = 10,
) -> tuple[Ranking, Ranking]:
    """Return one listener's list of now by two versions, each with the other's places.

    Raises:
        NotReadable: the files of one are damaged or gone.
        Busy: see `versions.looking`.
    """
    with looking():
        current = state.current()
        taste = tastes.build_taste(listener)
        wishes = Wishes(n=n)

        def list_of(version: ModelVersion, beside: list[int] | None) -> Ranking:
            scene = set_scene(listener, taste, wishes, stage_of(version, current))
            return _list(
                f"Model {version.pk}", strategy, scene, taste, wishes, at=at, seed=0, beside=beside
            )

        one = list_of(first, None)
        other = list_of(second, [place.pk for place in one.places])
        places = {place.pk: number for number, place in enumerate(other.places, start=1)}
        one = dataclasses.replace(
            one,
            places=[dataclasses.replace(p, other_place=places.get(p.pk)) for p in one.places],
        )
        return one, other


@dataclass(frozen=True)
class TasteSummary:
    """What is known of a listener, to be read by a person.

    Attributes:
        n_tracks: tracks of the history.
        genres: genre and its share of the liking, the largest first.
        artists: artist, tracks responded to, and their mean preference.
    """

    n_tracks: int
    genres: list[tuple[str, float]]
    artists: list[tuple[str, int, float]]


def summary_of(taste: Taste, stage: Stage) -> TasteSummary:
    """Return a taste as a person reads it."""
    history = History.from_bytes(taste.history)
    catalogue = stage.catalogue
    rows = catalogue.rows_of(history.tracks)
    known = rows >= 0
    rows, weights = rows[known], history.preferences[known].astype(np.float64)
    genres: dict[str, float] = {}
    artists: dict[str, list[float]] = {}
    for row, weight in zip(rows.tolist(), weights.tolist(), strict=True):
        for genre in catalogue.genres_of(row):
            genres[genre] = genres.get(genre, 0.0) + weight
        artists.setdefault(catalogue.artist(row), []).append(weight)
    total = sum(genres.values()) or 1.0
    by_liking = sorted(artists.items(), key=lambda item: (-sum(item[1]), item[0]))
    return TasteSummary(
        n_tracks=len(history),
        genres=[
            (name, value / total)
            for name, value in sorted(genres.items(), key=lambda item: (-item[1], item[0]))[:TOP]
        ],
        artists=[(name, len(values), float(np.mean(values))) for name, values in by_liking[:TOP]],
    )
