"""When somebody has to act: limits on the system's vital signs, and what is said then.

Each alarm has a key; `docs/operations.md` and the console's page of definitions say under the same
key what it means and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SILENT_SECONDS = 45.0
"""Silence after which a process is taken for dead: four heartbeats."""

OUTBOX_SECONDS = 60.0
"""Age of the oldest effect still owed that calls for somebody; normally it is under 2 s."""

COUNTED_SECONDS = 300.0
MODEL_DAYS = 3.0
ERROR_SHARE = 0.01
FALLBACK_SHARE = 0.05
RECOMMEND_P95_MS = 250.0
LEAST_REQUESTS = 50
"""Requests in the window below which a share of them says nothing."""


@dataclass(frozen=True)
class Vitals:
    """What is looked at; None where it is not known.

    Attributes:
        worker_silent_seconds: since the last heartbeat of any worker; None if there never was one.
        beat_silent_seconds: since the schedule last fired; None if it never did.
        outbox_open: effects owed.
        outbox_oldest_seconds: age of the oldest one that is tried by itself.
        dead_letters: effects that failed too often.
        has_model: whether a version is to be served.
        model_age_days: since the serving version was trained.
        training_failed: why the newest training run failed, or "".
        requests: answered in the last 15 minutes.
        errors: of them, with status 500 or above.
        recommend_requests: lists asked for in the last 15 minutes.
        recommend_fallbacks: of them, made by another strategy.
        recommend_p95_ms: of them.
        counted_seconds: since today was counted; None if never.
        broken_measurements: names of those that failed, and why.
        list_changed: whether the last probe saw a list change after a response.
        unhealthy_experiments: keys of experiments whose numbers cannot be trusted.
        harmful_experiments: keys of those whose verdict is to roll back.
        pinned_arms: bandit and arm, where all traffic goes to one.
        has_listeners: whether anybody could be served.
    """

    worker_silent_seconds: float | None = None
    beat_silent_seconds: float | None = None
    outbox_open: int = 0
    outbox_oldest_seconds: float = 0.0
    dead_letters: int = 0
    has_model: bool = True
    model_age_days: float | None = None
    training_failed: str = ""
    requests: int = 0
    errors: int = 0
    recommend_requests: int = 0
    recommend_fallbacks: int = 0
    recommend_p95_ms: float | None = None
    counted_seconds: float | None = None
    broken_measurements: tuple[tuple[str, str], ...] = ()
    list_changed: bool | None = None
    unhealthy_experiments: tuple[str, ...] = ()
    harmful_experiments: tuple[str, ...] = ()
    pinned_arms: tuple[tuple[str, str], ...] = ()
    has_listeners: bool = True


@dataclass(frozen=True)
class Alarm:
    """Something that calls for a person.

    Attributes:
        key: under which the documentation explains it.
        tone: "bad" where listeners or data suffer now, "warn" where they will.
        words: what is the matter, with the number.
        target: what the alarm is about, where its key alone does not say it.
    """

    key: str
    tone: str
    words: str
    target: str = ""


KEYS = (
    "worker-silent",
    "schedule-silent",
    "outbox-stuck",
    "dead-letters",
    "no-model",
    "model-old",
    "training-failed",
    "errors",
    "fallbacks",
    "slow-lists",
    "counts-old",
    "measurement-failed",
    "list-unchanged",
    "experiment-unhealthy",
    "experiment-harmful",
    "arm-pinned",
)


def alarms(vitals: Vitals) -> list[Alarm]:
    """Return what is wrong, the worst first, and in a fixed order within that."""
    found = [*_machinery(vitals), *_model(vitals), *_requests(vitals), *_decisions(vitals)]
    return sorted(found, key=lambda alarm: (alarm.tone != "bad", KEYS.index(alarm.key)))


def _machinery(vitals: Vitals) -> Iterator[Alarm]:
    worker, beat = vitals.worker_silent_seconds, vitals.beat_silent_seconds
    if worker is None or worker > SILENT_SECONDS:
        silent = "No worker has ever been heard of" if worker is None else _silent(worker, "worker")
        yield Alarm("worker-silent", "bad", f"{silent}: nothing is learned from responses.")
    elif beat is None or beat > SILENT_SECONDS:
        silent = "The schedule has never fired" if beat is None else _silent(beat, "schedule")
        yield Alarm("schedule-silent", "bad", f"{silent}: nothing is trained, counted or retried.")
    if vitals.outbox_oldest_seconds > OUTBOX_SECONDS:
        yield Alarm(
            "outbox-stuck",
            "bad",
            f"{vitals.outbox_open:,} effects wait, the oldest for "
            f"{duration(vitals.outbox_oldest_seconds)}: experiments and the bandit lag behind.",
        )
    if vitals.dead_letters:
        yield Alarm(
            "dead-letters",
            "bad",
            f"{vitals.dead_letters:,} {_plural(vitals.dead_letters, 'effect')} failed too often: "
            "you have to look.",
        )
    if vitals.counted_seconds is None or vitals.counted_seconds > COUNTED_SECONDS:
        since = (
            "Today has not been counted"
            if vitals.counted_seconds is None
            else f"Today was last counted {duration(vitals.counted_seconds)} ago"
        )
        yield Alarm("counts-old", "warn", f"{since}: the figures of this page are behind.")
    for name, reason in vitals.broken_measurements:
        yield Alarm("measurement-failed", "warn", f"Measuring {name} fails: {reason}", name)
    if vitals.list_changed is False:
        yield Alarm("list-unchanged", "bad", "A like did not change the next list of the probe.")


def _model(vitals: Vitals) -> Iterator[Alarm]:
    if vitals.has_listeners and not vitals.has_model:
        yield Alarm("no-model", "bad", "No model serves: lists come from content and trends.")
    elif vitals.model_age_days is not None and vitals.model_age_days > MODEL_DAYS:
        yield Alarm(
            "model-old", "warn", f"The model was trained {vitals.model_age_days:.0f} days ago."
        )
    if vitals.training_failed:
        yield Alarm(
            "training-failed", "warn", f"The last training failed: {vitals.training_failed}"
        )


def _requests(vitals: Vitals) -> Iterator[Alarm]:
    if vitals.requests >= LEAST_REQUESTS and vitals.errors > ERROR_SHARE * vitals.requests:
        yield Alarm(
            "errors",
            "bad",
            f"{vitals.errors / vitals.requests:.1%} of the last {vitals.requests:,} requests "
            "failed (15 minutes).",
        )
    n = vitals.recommend_requests
    if n < LEAST_REQUESTS:
        return
    if vitals.recommend_fallbacks > FALLBACK_SHARE * n:
        yield Alarm(
            "fallbacks",
            "warn",
            f"{vitals.recommend_fallbacks / n:.1%} of the last {n:,} lists were made by a "
            "fall-back (15 minutes).",
        )
    if vitals.recommend_p95_ms is not None and vitals.recommend_p95_ms > RECOMMEND_P95_MS:
        yield Alarm(
            "slow-lists",
            "warn",
            f"One list in twenty takes longer than {vitals.recommend_p95_ms:.0f} ms (15 minutes).",
        )


def _decisions(vitals: Vitals) -> Iterator[Alarm]:
    for key in vitals.harmful_experiments:
        yield Alarm("experiment-harmful", "bad", f"{key}: a variant does harm; stop it.", key)
    for key in vitals.unhealthy_experiments:
        yield Alarm(
            "experiment-unhealthy", "warn", f"{key}: a health check fails; do not decide yet.", key
        )
    for bandit, arm in vitals.pinned_arms:
        yield Alarm("arm-pinned", "warn", f"{bandit}: all traffic goes to {arm}, pinned.", bandit)


def duration(seconds: float) -> str:
    """Return a duration in its largest unit, rounded down, as a person says it."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("min", 60)):
        if seconds >= size:
            n = int(seconds // size)
            return f"{n} {unit}" if unit == "min" else f"{n} {_plural(n, unit)}"
    return f"{int(seconds)} s"


def _silent(seconds: float, noun: str) -> str:
    return f"The {noun} has been silent for {duration(seconds)}"


def _plural(n: int, noun: str) -> str:
    return noun if n == 1 else f"{noun}s"
