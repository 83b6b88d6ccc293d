"""Writing down what was shown: slate, bandit's decision, exposure and the effects that are due."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

import bandits.services
import experiments.services
from experiments.services import Served
from musicrec.metrics import SLATES
from musicrec.prepared import write_together
from recommendations.models import OutboxEvent, Recommendation
from recommendations.services.policy import PolicyDecision


@dataclass(frozen=True, eq=False)
class Shown:
    """A slate, not yet written, and the decision behind it."""

    slate: Recommendation
    decision: PolicyDecision

    @property
    def is_as_decided(self) -> bool:
        """Whether the strategy that was asked for made the slate."""
        return self.slate.strategy == self.decision.strategy


def write_down(shown: Sequence[Shown], *, at: datetime) -> None:
    """Write slates with all that follows from them, all or nothing.

    One query; one more, and a transaction, where a listener is shown an experiment's variant for
    the first time.  Nobody waits for the disk unless a setting says so: should the database crash,
    what is lost is a list that nobody responded to, since a response waits for the disk and with
    it for all that was written before.
    """
    exposures = [
        Served(
            one.decision.assignment,
            one.slate.listener,
            served_policy=one.decision.policy if one.is_as_decided else one.slate.strategy,
            fallback=not one.is_as_decided,
        )
        for one in shown
        if one.decision.assignment is not None and one.decision.assignment.is_to_be_recorded
    ]
    decisions = [
        bandits.services.decision_of(
            one.decision.choice, listener=one.slate.listener, at=at, served_arm=one.slate.strategy
        )
        for one in shown
        if one.decision.choice is not None
    ]
    effects = [
        OutboxEvent(kind=OutboxEvent.Kind.SLATE, recommendation=one.slate, created_at=at, due_at=at)
        for one in shown
    ]
    with transaction.atomic() if exposures else nullcontext():
        write_together(
            [one.slate for one in shown],
            decisions,
            effects,
            wait_for_disk=settings.MUSICREC["DURABLE_SLATES"],
        )
        experiments.services.record_exposures(exposures, at=at)
    for one in shown:
        SLATES.labels(one.slate.policy, one.slate.strategy, one.slate.fallback).inc()
