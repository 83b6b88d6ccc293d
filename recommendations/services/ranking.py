"""Ranking every track for one listener: a strategy's scores, the wishes' tilts, the rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from accounts.models import Listener, Preferences
from recommendations.core.arrays import Floats
from recommendations.core.rules import Slate, SlateRules, choose_slate
from recommendations.models import Taste
from recommendations.services import taste as tastes
from recommendations.services.wishes import Wishes
from recommendations.serving.state import Stage
from recommendations.serving.strategies import STRATEGIES, Scene

MOOD_WEIGHT = 0.5
"""How far a mood moves a ranking: in standard deviations of score per unit of audio distance."""

NOVELTY_WEIGHT = 1.0
"""How far the dial moves a ranking: standard deviations of score between the best known and the
least known track, at either end of the dial."""

EXPLORED_PLACES = {"discovery": 2}
"""Places of a slate given to a draw among the runners-up, by strategy; none elsewhere."""


def set_scene(listener: Listener, taste: Taste, wishes: Wishes, stage: Stage) -> Scene:
    """Return what a strategy ranks from."""
    preferences: Preferences | None = getattr(listener, "preferences", None)
    portrait = stage.portraits.of(
        bytes(taste.history),
        stated=tastes.stated_taste(preferences, mood=wishes.affect),
        artists=tastes.named_artists(preferences),
        # It starts from what was stated once and for all, not from a passing mood.
        vector=tastes.folded_vector(taste, stage, preferences),
    )
    return Scene(
        stage=stage,
        portrait=portrait,
        adventure=0.5 if wishes.adventure is None else wishes.adventure,
    )


def rank(
    scene: Scene, strategy: str, taste: Taste, wishes: Wishes, at: datetime, *, seed: int
) -> tuple[Slate, Floats]:
    """Return the slate that a strategy and the rules make, and every track's score."""
    scores = STRATEGIES[strategy].scores(scene)
    return rank_scores(scores, scene, strategy, taste, wishes, at, seed=seed)


def rank_scores(
    scores: Floats,
    scene: Scene,
    strategy: str,
    taste: Taste,
    wishes: Wishes,
    at: datetime,
    *,
    seed: int,
) -> tuple[Slate, Floats]:
    """Return the slate that wishes and rules make of a strategy's scores, and those, tilted."""
    options = settings.MUSICREC
    if wishes.affect is not None and strategy != "content_based":
        scores = tilt_to_mood(scores, scene, wishes.affect)
    if wishes.adventure is not None and strategy != "discovery":
        scores = tilt_to_novelty(scores, scene, wishes.adventure)
    rules = SlateRules(
        k=wishes.n,
        max_per_artist=options["MAX_PER_ARTIST"],
        diversity=options["DIVERSITY"],
        n_explored=min(EXPLORED_PLACES.get(strategy, 0), wishes.n // 5),
    )
    slate = choose_slate(
        scores,
        rules,
        banned=banned_tracks(scene, taste, wishes, at),
        soft_bans=soft_bans_of(scene, wishes, at),
        artists=scene.catalogue.artist_rows,
        vectors=scene.catalogue.content_vectors,
        rng=np.random.default_rng(seed) if rules.n_explored else None,
    )
    return slate, scores


def tilt_to_mood(scores: Floats, scene: Scene, mood: tuple[float, float]) -> Floats:
    """Return scores moved towards tracks whose valence and energy suit a mood.

    Scores are standardised first, so that a mood weighs the same in every strategy.
    """
    finite = np.isfinite(scores)
    if not finite.any():
        return scores
    level = (scores - scores[finite].mean()) / max(float(scores[finite].std()), 1e-9)
    tilt = MOOD_WEIGHT * scene.catalogue.distance_to_mood(mood)
    return np.where(finite, level - tilt, scores).astype(np.float32)


def tilt_to_novelty(scores: Floats, scene: Scene, adventure: float) -> Floats:
    """Return scores moved towards less known tracks, or towards well-known ones below 0.5.

    Novelty is the rank of a track among all by how few know it, so that the dial means the same
    in every catalogue; in the middle of the dial nothing moves.
    """
    finite = np.isfinite(scores)
    if not finite.any() or adventure == 0.5:
        return scores
    level = (scores - scores[finite].mean()) / max(float(scores[finite].std()), 1e-9)
    tilt = NOVELTY_WEIGHT * (2 * adventure - 1) * scene.catalogue.novelty
    return np.where(finite, level + tilt, scores).astype(np.float32)


def banned_tracks(scene: Scene, taste: Taste, wishes: Wishes, at: datetime) -> NDArray[np.bool_]:
    """Return which tracks must not be shown: hidden by the listener, or excluded here."""
    catalogue = scene.catalogue
    banned = np.zeros(len(catalogue), bool)
    tracks = _in_force(taste.hidden.get("tracks", {}), at)
    rows = catalogue.rows_of(tracks)
    banned[rows[rows >= 0]] = True
    artists = _in_force(taste.hidden.get("artists", {}), at)
    if len(artists):
        banned |= np.isin(catalogue.artist_pks[catalogue.artist_rows], artists)
    for track_id in wishes.exclude:
        row = catalogue.row_of_track_id.get(track_id)
        if row is not None:
            banned[row] = True
    return banned


def _in_force(hidden: dict[str, float | None], at: datetime) -> NDArray[np.int64]:
    moment = at.timestamp()
    keys = [int(pk) for pk, until in hidden.items() if until is None or until > moment]
    return np.array(keys, np.int64)


def soft_bans_of(
    scene: Scene, wishes: Wishes, at: datetime
) -> Sequence[tuple[str, NDArray[np.bool_]]]:
    """Return the rules that give way where too little is left, the last one first."""
    catalogue = scene.catalogue
    bans = []
    if wishes.genres:
        outside = np.ones(len(catalogue), bool)
        for genre in wishes.genres:
            outside[catalogue.genre_rows.get(genre, [])] = False
        bans.append(("genres", outside))
    heard = np.zeros(len(catalogue), bool)
    since = (at - settings.MUSICREC["REPEAT_DELAY"]).timestamp()
    rows = scene.portrait.rows[scene.portrait.history.heard_since(since)]
    heard[rows[rows >= 0]] = True
    bans.append(("heard", heard))
    return bans
