"""Where a recomputation gets every event ever accepted, without knowing who keeps them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class ListenerEvent:
    """Something a listener did, or a slate they were served.

    Attributes:
        event_key: unique over all events, at most 100 characters; the same on every delivery.
        listener_id: primary key of the listener; None, or one that is gone, adds nothing.
        kind: "slate" or "feedback".
        at: when it happened, aware.
        values: see `experiments.core.measures.contribution`.
        received_at: when it was accepted; None for when it happened.
        retracted_at: when it was withdrawn; all else is then what it was when it was applied.
    """

    event_key: str
    listener_id: int | None
    kind: Literal["slate", "feedback"]
    at: datetime
    values: dict[str, object] = field(default_factory=dict)
    received_at: datetime | None = None
    retracted_at: datetime | None = None

    @property
    def accepted_at(self) -> datetime:
        """When it was accepted."""
        return self.received_at or self.at


Source = Callable[[], Iterator[ListenerEvent]]

_sources: list[Source] = []


def register(source: Source) -> None:
    """Name a function that yields every accepted event; call it from an app's `ready()`."""
    if source not in _sources:
        _sources.append(source)


def events() -> Iterator[ListenerEvent]:
    """Yield every event of every registered source, in any order; a listener's together is best."""
    for source in _sources:
        yield from source()
