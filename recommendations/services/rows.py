"""Rows of recommendations: the list for now, and lists with a reason of their own."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import transaction

from accounts.models import Listener
from recommendations.core.arrays import Floats
from recommendations.models import Recommendation, Taste
from recommendations.services import taste as tastes
from recommendations.services.policy import local_time
from recommendations.services.ranking import rank_scores, set_scene
from recommendations.services.recommend import Answer, as_finite, items_of, recommend
from recommendations.services.similar import likeness_to
from recommendations.services.taste import Known
from recommendations.services.wishes import Wishes
from recommendations.serving import state
from recommendations.serving.strategies import STRATEGIES, Reason, Scene

ROWS = ("for_now", "because", "rising", "discovery", "new")
MIN_ITEMS = 3
"""A row with fewer tracks than this, or than were asked for, is left out."""

NEWEST_SHARE = 0.1
"""Share of the catalogue, by when it came in, that counts as new."""

LIKED = 0.75
"""Preference from which a track may name a row."""


@dataclass(frozen=True)
class Row:
    """A list with its title, and how it comes about."""

    key: str
    title: str
    why: str
    answer: Answer


@dataclass(frozen=True, eq=False)
class _Draft:
    """A fixed row before its tracks are chosen: what ranks it, and what it says of a track."""

    key: str
    title: str
    why: str
    strategy: str
    scores: Floats
    reasons: Callable[[Scene, Sequence[int]], list[list[Reason]]]


def recommend_rows(
    *, listener: Listener, wishes: Wishes, at: datetime, known: Known | None = None
) -> list[Row]:
    """Return the list for now, and fixed rows beside it, no track twice.

    Only the list for now goes through experiment, policy and bandit.  The others are written into
    the ledger with the policy ``row_KEY`` and propensity 1, and are no slates of an experiment.

    Args:
        listener: who asks.
        wishes: `n` is the length of each row.
        at: now.
        known: what was read of the listener just now, where it was.
    """
    known = known or tastes.read_known(listener)
    taste = known.taste
    first = recommend(listener=listener, wishes=wishes, at=at, known=known)
    moment = local_time(listener, at)
    rows = [
        Row(
            key="for_now",
            title=f"For this {_part_of_day(moment.hour)}",
            why=f"ranked for you now by {first.recommendation.strategy}",
            answer=first,
        )
    ]
    scene = set_scene(listener, taste, wishes, state.current())
    shown = {*wishes.exclude, *(item.track_id for item in first.items)}
    for draft in _drafts(scene):
        answer = _slate_of(draft, listener, taste, scene, wishes, shown, at)
        if len(answer.items) < min(MIN_ITEMS, wishes.n):
            continue
        shown |= {item.track_id for item in answer.items}
        rows.append(Row(draft.key, draft.title, draft.why, answer))
    with transaction.atomic():
        Recommendation.objects.bulk_create(row.answer.recommendation for row in rows[1:])
    return rows


def _part_of_day(hour: int) -> str:
    if 5 <= hour < 12:
        return "morning"
    if 12 <= hour < 18:
        return "afternoon"
    return "evening" if 18 <= hour < 23 else "night"


def _drafts(scene: Scene) -> Sequence[_Draft]:
    drafts = []
    liked = _liked_row(scene)
    if liked is not None:
        drafts.append(_because(scene, liked))
    if (scene.stage.heat > 0).any():
        drafts.append(
            _Draft(
                key="rising",
                title="Rising now",
                why="what is being listened to here of late",
                strategy="trending",
                scores=np.where(
                    scene.stage.heat > 0, STRATEGIES["trending"].scores(scene), -np.inf
                ).astype(np.float32),
                reasons=STRATEGIES["trending"].reasons,
            )
        )
    if not scene.portrait.is_unknown:
        drafts.append(
            _Draft(
                key="discovery",
                title="Something new to you",
                why="close to your taste, and known to few here",
                strategy="discovery",
                scores=STRATEGIES["discovery"].scores(scene),
                reasons=STRATEGIES["discovery"].reasons,
            )
        )
    drafts.append(_new(scene))
    return drafts


def _liked_row(scene: Scene) -> int | None:
    """Return the row of the track liked most recently, None where nothing was."""
    liked = (scene.portrait.history.preferences >= LIKED) & (scene.portrait.rows >= 0)
    liked &= np.isfinite(scene.portrait.history.records["heard_at"])  # not only named
    places = np.flatnonzero(liked)
    return int(scene.portrait.rows[places[-1]]) if places.size else None


def _because(scene: Scene, row: int) -> _Draft:
    name = scene.catalogue.names[row]
    scores, source = likeness_to(scene.stage, row)
    said = f"people who play {name} play it" if source == "listening" else f"sounds like {name}"
    return _Draft(
        key="because",
        title=f"Because you like {name}",
        why=f"tracks most like {name} by {scene.catalogue.artist(row)}",
        strategy="similar_tracks",
        scores=scores,
        reasons=lambda _scene, rows: [[Reason("similar", said, row)] for _ in rows],
    )


def _new(scene: Scene) -> _Draft:
    """Return what came into the catalogue last, in the order in which it fits the listener."""
    n = len(scene.catalogue)
    newest = np.arange(n) >= n - max(int(n * NEWEST_SHARE), 1)  # rows rise with primary keys
    scores = np.where(newest, STRATEGIES["content_based"].scores(scene), -np.inf)
    added = Reason("new", "one of the newest in the catalogue")
    return _Draft(
        key="new",
        title="New here",
        why=f"the newest {NEWEST_SHARE:.0%} of the catalogue, what fits you first",
        strategy="content_based",
        scores=scores.astype(np.float32),
        reasons=lambda scene, rows: [
            [added, *why] for why in STRATEGIES["content_based"].reasons(scene, rows)
        ],
    )


def _slate_of(
    draft: _Draft,
    listener: Listener,
    taste: Taste,
    scene: Scene,
    wishes: Wishes,
    shown: set[str],
    at: datetime,
) -> Answer:
    """Choose a row's tracks by the rules that hold for every list; writes nothing."""
    started = time.perf_counter()
    request_id = uuid.uuid4()
    asked = dataclasses.replace(wishes, exclude=tuple(shown))
    slate, scores = rank_scores(
        draft.scores, scene, draft.strategy, taste, asked, at, seed=request_id.int
    )
    # What has no place in this row does not fill it.
    fits = np.isfinite(scores[slate.rows])
    slate = dataclasses.replace(slate, rows=slate.rows[fits], explored=slate.explored[fits])
    items, predictions = items_of(
        scene, slate, scores, strategy=draft.strategy, reasons=draft.reasons
    )
    loaded = scene.stage.loaded
    context = dataclasses.replace(wishes, exclude=()).as_context()
    return Answer(
        Recommendation(
            id=request_id,
            listener=listener,
            created_at=at,
            policy=f"row_{draft.key}",
            strategy=draft.strategy,
            chosen_strategy=draft.strategy,
            propensity=1.0,
            model_version_id=loaded.version if loaded else None,
            tracks=scene.catalogue.pks[slate.rows].tolist(),
            scores=as_finite(scores[slate.rows]),
            predictions=as_finite(predictions) if loaded else [],
            context=context,
            latency_ms=1000 * (time.perf_counter() - started),
        ),
        items,
    )
