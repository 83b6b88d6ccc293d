"""Hiding tracks and artists, and showing them again."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from accounts.models import Listener
from recommendations.models import Artist, Feedback, Hidden, Taste, Track
from recommendations.services import taste as tastes


@transaction.atomic
def hide(
    *,
    listener: Listener,
    until: datetime | None,
    at: datetime,
    track: Track | None = None,
    artist: Artist | None = None,
) -> Hidden:
    """Hide a track or an artist until a time, or for good; said again, the last word counts.

    Exactly one of `track` and `artist` is given.
    """
    taste = tastes.lock_taste(listener)
    hidden, is_new = Hidden.objects.get_or_create(
        listener=listener,
        track=track,
        artist=artist,
        defaults={"until": until, "created_at": at},
    )
    if not is_new and hidden.until != until:
        hidden.until = until
        hidden.save(update_fields=["until"])
    keep_in_taste(taste, listener)
    return hidden


def hide_by_response(feedback: Feedback, *, at: datetime) -> None:
    """Hide the track of a response that says so; the caller brings the taste up to that.

    What is hidden already stays as it was said, until its time has passed.
    """
    hidden, is_new = Hidden.objects.get_or_create(
        listener=feedback.listener,
        track=feedback.track,
        artist=None,
        defaults={"created_at": at, "feedback": feedback},
    )
    if not is_new and hidden.until is not None and hidden.until <= at:
        hidden.until = None
        hidden.feedback = feedback
        hidden.save(update_fields=["until", "feedback"])


def unhide_by_retraction(feedback: Feedback) -> None:
    """Show a track again whose hiding was taken back, unless another response hides it too."""
    hidden = Hidden.objects.filter(feedback=feedback).first()
    if hidden is None:
        return
    hidden.feedback = Feedback.objects.by(feedback.listener).hiding(feedback.track_id).first()
    if hidden.feedback is None:
        hidden.delete()
    else:
        hidden.save(update_fields=["feedback"])


def give_hidden(giver: Listener, *, to: Listener) -> None:
    """Let a listener hide what another hides, who does so no more; the caller locks both tastes.

    Of two hidings of one thing the one that ends later counts.
    """
    for hidden in Hidden.objects.by(giver):
        said = {
            "until": hidden.until,
            "created_at": hidden.created_at,
            "feedback_id": hidden.feedback_id,
        }
        hidden.delete()  # a response hides once; the row that follows takes its place
        kept, is_new = Hidden.objects.get_or_create(
            listener=to, track_id=hidden.track_id, artist_id=hidden.artist_id, defaults=said
        )
        if not is_new and _ends_later(said["until"], kept.until):
            Hidden.objects.filter(pk=kept.pk).update(**said)


def _ends_later(until: datetime | None, other: datetime | None) -> bool:
    """Return whether an end is later than another; None is never, hence the latest."""
    return other is not None and (until is None or until > other)


@transaction.atomic
def unhide(hidden: Hidden) -> None:
    """Show a track or an artist again; a response that hid it stays."""
    taste = tastes.lock_taste(hidden.listener)
    hidden.delete()
    keep_in_taste(taste, hidden.listener)


def keep_in_taste(taste: Taste, listener: Listener) -> None:
    """Bring a locked taste up to what its listener hides, and save that."""
    taste.hidden = tastes.hidden_of(listener)
    taste.save(update_fields=["hidden", "updated_at"])
