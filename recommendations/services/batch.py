"""The lists of many listeners at once: read together, ranked one by one, written together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection
from psycopg2.extras import execute_values

import experiments.services
from accounts.models import Listener
from recommendations.core.history import History
from recommendations.models import Taste
from recommendations.services import policy as policies
from recommendations.services import taste as tastes
from recommendations.services.ledger import Shown, write_down
from recommendations.services.recommend import Answer, compose
from recommendations.services.wishes import Wishes
from recommendations.serving import state
from recommendations.serving.state import Stage


def recommend_many(*, listeners: Sequence[Listener], wishes: Wishes, at: datetime) -> list[Answer]:
    """Return what `recommend` would answer each listener, in their order.

    Every list goes through experiment, policy and bandit as a single one does, with a draw of its
    own; the number of queries is the same however many listeners there are, save for those whose
    taste was never built.

    Args:
        listeners: each once, with their preferences loaded.
        wishes: what for, the same for all.
        at: now.
    """
    stage = state.current()
    held = Taste.objects.in_bulk([listener.pk for listener in listeners])
    for listener in listeners:
        if listener.pk not in held:
            held[listener.pk] = tastes.read_taste(listener)
    _fold(listeners, held, stage)
    routes = experiments.services.routes(
        {
            listener.pk: (listener, policies.attributes_of(held[listener.pk], wishes.device))
            for listener in listeners
        },
        at=at,
    )
    drafts = [
        compose(
            listener=listener,
            taste=held[listener.pk],
            wishes=wishes,
            stage=stage,
            at=at,
            route=routes[listener.pk],
        )
        for listener in listeners
    ]
    write_down(
        [Shown(draft.answer.recommendation, draft.decision) for draft in drafts],
        at=at,
    )
    return [draft.answer for draft in drafts]


_KEEP_FOLDED = """
UPDATE recommendations_taste t
SET vector = new.vector, model_version_id = new.model_version_id, stated_at = new.stated_at
FROM (VALUES %s) AS new(listener_id, seen, vector, model_version_id, stated_at)
WHERE t.listener_id = new.listener_id AND t.updated_at = new.seen
"""


def _fold(listeners: Sequence[Listener], held: dict[int, Taste], stage: Stage) -> None:
    """Fold the embeddings that are out of date, and keep them by one statement.

    Not where a response has come in between: it has folded the taste itself.
    """
    rows = []
    for listener in listeners:
        taste, preferences = held[listener.pk], getattr(listener, "preferences", None)
        if tastes.is_folded(taste, stage, preferences):
            continue
        vector = tastes.fold(History.from_bytes(taste.history), stage, preferences)
        if vector is None:
            continue
        tastes.remember(taste, vector, stage, preferences)
        rows.append(
            (listener.pk, taste.updated_at, taste.vector, taste.model_version_id, taste.stated_at)
        )
    if rows:
        template = "(%s, %s, %s, %s::bigint, %s::timestamptz)"
        with connection.cursor() as cursor:
            execute_values(cursor.cursor, _KEEP_FOLDED, rows, template=template, page_size=500)
