"""What browser sessions without an account did: kept for them, and theirs once they sign in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from accounts.models import Listener, Preferences, User
from accounts.services import listener_of, set_preferences
from accounts.verification import must_be_verified
from accounts.visitors import forget_visitor, visitor_in
from recommendations.models import Feedback, Recommendation
from recommendations.services import effects, hiding, personal_data, trend
from recommendations.services import taste as tastes
from recommendations.serving import state

KEPT = timedelta(days=30)
"""How long a visitor is known who does not sign up."""

FORGOTTEN_AT_ONCE = 2000


def state_what_is_named(visitor: Listener, wishes: Mapping[str, Any]) -> None:
    """Take the artists and genres that a visitor's request names for what they like."""
    stated = getattr(visitor, "preferences", None)
    named = {name: wishes[name] for name in ("artists", "genres") if wishes.get(name)}
    if "genres" in named:
        named["genres"] = list(dict.fromkeys(genre.lower() for genre in named["genres"]))
    if named and any(getattr(stated, name, None) != value for name, value in named.items()):
        visitor.preferences = set_preferences(listener=visitor, **named)


def join_new_account(sender: object, **signed_up: Any) -> None:
    """Move what a session did as a visitor to the account that signs up with it; a receiver.

    Where addresses are verified first, it waits for the login: a visitor that goes at once would
    tell who signs up that the address was free.
    """
    if not must_be_verified():
        join_account(sender, **signed_up)


def join_account(
    sender: object, request: HttpRequest | None = None, user: User | None = None, **_: Any
) -> None:
    """Move what a session did as a visitor to the account that signs in with it; a receiver."""
    session = getattr(request, "session", None)
    if session is None or user is None:
        return
    visitor = visitor_in(request)
    forget_visitor(request)
    if visitor is not None:
        merge(visitor, into=listener_of(user))


def merge(visitor: Listener, *, into: Listener) -> None:
    """Give a listener everything that a visitor did, and remove the visitor.

    What the listener has stated stays; what they have not is taken over.  Of what both hide the
    later end counts.  In trend and experiments, too, what was moved is theirs from now on, as if it
    had been all along.
    """
    stage = state.current()
    with transaction.atomic():
        taste = tastes.lock_taste(into)
        tastes.lock_taste(visitor)  # a response under way is in before anything is moved
        known = Feedback.objects.by(into).values("event_id")
        said = Feedback.objects.by(visitor).exclude(event_id__in=known)
        responses = Feedback.objects.filter(pk__in=list(said.values_list("pk", flat=True)))
        shown = Recommendation.objects.of(visitor)
        slates = Recommendation.objects.filter(pk__in=list(shown.values_list("pk", flat=True)))
        responses.update(listener=into)
        # Tracks are locked first, then the sums of experiments, then slates, as by workers.
        trend.give_shares(visitor, to=into)
        effects.give_events(slates, responses, to=into)
        slates.update(listener=into)
        hiding.give_hidden(visitor, to=into)
        _merge_preferences(visitor, into)
        personal_data.erase(visitor)
        tastes.rebuild_taste(taste, Listener.objects.get(pk=into.pk), stage)


def _merge_preferences(visitor: Listener, into: Listener) -> None:
    said = Preferences.objects.filter(listener=visitor).first()
    if said is None:
        return
    stated = Preferences.objects.filter(listener=into).first() or Preferences()
    fields = ("genres", "artists", "energy", "mood")
    nothing = ([], None, "")
    taken = {
        name: getattr(said, name)
        for name in fields
        if getattr(stated, name) in nothing and getattr(said, name) not in nothing
    }
    if taken:
        set_preferences(listener=into, **taken)


def forget_visitors(*, at: datetime) -> int:
    """Erase visitors of more than `KEPT` ago, and return how many; the rest comes another night."""
    gone = Listener.objects.visitors_gone(since=at - KEPT).order_by("pk")[:FORGOTTEN_AT_ONCE]
    for visitor in gone:
        personal_data.erase(visitor)
    return len(gone)
