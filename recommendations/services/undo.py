"""Taking a response back: nothing is deleted, and everything it did is undone once."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

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
    stage = state.current()
    listener = feedback.listener
    with transaction.atomic():
        taste = tastes.lock_taste(listener)
        _, is_new = Retraction.objects.get_or_create(
            feedback=feedback, defaults={"retracted_at": at}
        )
        if not is_new:
            return False
        hiding.unhide_by_retraction(feedback)
        tastes.rebuild_taste(taste, listener, stage)
        if not feedback.imported:  # what came from elsewhere had no effect on others
            OutboxEvent.objects.create(
                kind=OutboxEvent.Kind.RETRACTION, feedback=feedback, created_at=at, due_at=at
            )
    return True


def show_again(hidden: Hidden, *, at: datetime) -> bool:
    """Undo a hiding; return whether a response was taken back with it, since a response said it."""
    if hidden.feedback is not None:
        return retract(hidden.feedback, at=at)
    hiding.unhide(hidden)
    return False
