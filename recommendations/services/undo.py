"""Taking a response back: nothing is deleted, and everything it did is undone once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from accounts.models import Listener
from recommendations.models import Feedback, Hidden, OutboxEvent, Retraction
from recommendations.services import hiding
from recommendations.services import taste as tastes
from recommendations.serving import state


def retract(feedback: Feedback, *, at: datetime) -> bool:
    """Take a response back, and return whether that is news.

    In one transaction, under the lock of the listener's taste: the retraction, the taste made
    anew of what remains, the track shown again if the response hid it, and an outbox row by which
    trend, experiments and reward are corrected.
    """
    return _retract([feedback], feedback.listener, at=at)


@transaction.atomic
def show_again(hidden: Hidden, *, at: datetime) -> bool:
    """Undo a hiding; return whether a response was taken back with it.

    Every response that hides the track is: one that stood would say that it is hidden still.
    """
    hiding.unhide(hidden)  # under the lock of the listener's taste, from here on
    if hidden.track_id is None:
        return False
    hides = list(Feedback.objects.by(hidden.listener).hiding(hidden.track_id))
    return bool(hides) and _retract(hides, hidden.listener, at=at)


def _retract(responses: Sequence[Feedback], listener: Listener, *, at: datetime) -> bool:
    stage = state.current()
    with transaction.atomic():
        taste = tastes.lock_taste(listener)
        news = [
            feedback
            for feedback in responses
            if Retraction.objects.get_or_create(feedback=feedback, defaults={"retracted_at": at})[1]
        ]
        if not news:
            return False
        for feedback in news:
            hiding.unhide_by_retraction(feedback)
        tastes.rebuild_taste(taste, listener, stage)
        OutboxEvent.objects.bulk_create(
            OutboxEvent(
                kind=OutboxEvent.Kind.RETRACTION, feedback=feedback, created_at=at, due_at=at
            )
            for feedback in news
            if not feedback.imported  # what came from elsewhere had no effect on others
        )
    return True
