"""Rows for tests."""

import uuid
from datetime import UTC, datetime, timedelta

from accounts.models import Listener
from bandits import services
from bandits.core.context import Context
from bandits.models import Bandit

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY = "recommendation_strategy"
ARMS = ["neural_cf", "content_based", "hybrid_ensemble", "trending", "discovery"]


def make_bandit(**settings):
    """Return the default bandit, with other settings where given."""
    Bandit.objects.filter(key=KEY).update(**settings)
    return Bandit.objects.get(key=KEY)


def make_context(rng):
    """Return a context that says something in most of its numbers."""
    return Context(
        local_time=NOON.replace(tzinfo=None) + timedelta(minutes=int(rng.integers(20000))),
        valence=rng.random(),
        arousal=rng.random(),
        device=str(rng.choice(["mobile", "desktop", "car"])),
        feedback_count=int(rng.integers(500)),
        mean_preference=rng.random(),
        skip_rate=rng.random(),
        last_preference=rng.random(),
    )


def make_decision(rng, *, at=NOON, eligible=ARMS, listener=None, served_arm=None, key=KEY):
    """Choose and record, as the caller of this app does."""
    choice = services.choose(
        key,
        request_id=uuid.UUID(bytes=rng.bytes(16), version=4),
        context=make_context(rng),
        eligible=eligible,
        at=at,
    )
    return services.record_decision(choice, listener=listener, at=at, served_arm=served_arm)


def make_listener():
    """Return a new listener."""
    return Listener.objects.create()
