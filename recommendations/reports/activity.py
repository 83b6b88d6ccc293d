"""What listeners did today, against the days before to the same time; from counted slots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Max, Q, Sum
from django.db.models.functions import TruncDate

from recommendations.models import ActivitySlot, CountedDay

SLOT_MINUTES = 5
DAYS_BEFORE = 7


@dataclass(frozen=True)
class Figure:
    """One number of the overview.

    Attributes:
        key: its definition is under this key.
        value: today so far; None where there is nothing to divide by.
        before: the same hours of the seven days before, as a mean per day; None likewise.
        n: what the value is a share or a mean of; None for a count.
        n_before: the same of the seven days before.
    """

    key: str
    value: float | None
    before: float | None
    n: int | None = None
    n_before: int | None = None

    @property
    def change(self) -> float | None:
        """The relative change against the days before; None without one."""
        if self.value is None or not self.before:
            return None
        return self.value / self.before - 1

    @property
    def is_notable(self) -> bool:
        """Whether the change is more than chance makes of numbers this small: 3 standard errors.

        Counts are taken as Poisson, shares as binomial; a mean of 1 to 5 has at most variance 4.
        """
        if self.value is None or self.before is None:
            return False
        if self.n is None:
            variance = self.value + self.before / DAYS_BEFORE
        elif not self.n_before or not self.n:
            return False
        else:
            pooled = (self.value * self.n + self.before * self.n_before) / (self.n + self.n_before)
            spread = 4.0 if pooled > 1 else pooled * (1 - pooled)
            variance = spread * (1 / self.n + 1 / self.n_before)
        return abs(self.value - self.before) > 3 * variance**0.5


@dataclass(frozen=True)
class Activity:
    """Today and the days before.

    Attributes:
        figures: by key.
        until: end of the last five minutes counted, today.
        counted_at: when today was counted; None if never.
        days_before: how many of the seven days before were counted.
        by_day: day, active listeners, slates and responses of each whole day, oldest first.
        is_simulated: whether simulated listeners are among today's.
    """

    figures: dict[str, Figure]
    until: datetime
    counted_at: datetime | None
    days_before: int
    by_day: list[dict[str, Any]]
    is_simulated: bool


def activity(*, at: datetime, days: int = 28) -> Activity:
    """Return the figures of today and of the days before; three queries, whatever the traffic."""
    now = at.astimezone(UTC)
    today = now.date()
    counted = dict(
        CountedDay.objects.filter(day__gt=today - timedelta(days=days)).values_list(
            "day", "counted_at"
        )
    )
    counted_at = counted.get(today)
    until = _end_of_last_slot(min(counted_at, now) if counted_at else now)
    whole_days, to_this_time = _sums_by_day(today - timedelta(days=days - 1), until.time())
    before = [today - timedelta(days=n) for n in range(1, DAYS_BEFORE + 1)]
    days_before = sum(day in counted for day in before)
    now_sums = to_this_time.get(today, _NOTHING)
    past_sums = {
        name: sum(to_this_time.get(day, _NOTHING)[name] for day in before)
        for name in ActivitySlot.COUNTS
    }
    return Activity(
        figures=_figures(now_sums, past_sums, days_before),
        until=until,
        counted_at=counted_at,
        days_before=days_before,
        by_day=[
            {
                "day": day,
                "listeners": sums["n_first_seen"],
                "slates": sums["n_slates"],
                "responses": sums["n_responses"],
            }
            for day in sorted(counted)
            if day < today
            for sums in [whole_days.get(day, _NOTHING)]
        ],
        is_simulated=bool(now_sums["n_simulated"] or past_sums["n_simulated"]),
    )


_NOTHING: dict[str, int] = dict.fromkeys(ActivitySlot.COUNTS, 0)


def counted_today(*, at: datetime) -> datetime | None:
    """Return when today was last counted, None if never."""
    today = at.astimezone(UTC).date()
    return CountedDay.objects.filter(day=today).aggregate(last=Max("counted_at"))["last"]


def _end_of_last_slot(at: datetime) -> datetime:
    """Return the end of the last five minutes that are over; a day begins with an empty span."""
    return at.replace(minute=at.minute // SLOT_MINUTES * SLOT_MINUTES, second=0, microsecond=0)


_Sums = dict[date, dict[str, int]]


def _sums_by_day(since: date, until: time) -> tuple[_Sums, _Sums]:
    """Return what each day adds up to: the whole of it, and from midnight to a time of day."""
    is_before = Q(starts_at__time__lt=until)
    rows = (
        ActivitySlot.objects.filter(starts_at__gte=datetime.combine(since, time(), UTC))
        .annotate(day=TruncDate("starts_at", tzinfo=UTC))
        .order_by()
        .values("day")
        .annotate(
            **{f"whole_{name}": Sum(name) for name in ActivitySlot.COUNTS},
            **{
                f"part_{name}": Sum(name, filter=is_before, default=0)
                for name in ActivitySlot.COUNTS
            },
        )
    )
    whole: _Sums = {}
    part: _Sums = {}
    for row in rows:
        whole[row["day"]] = {name: row[f"whole_{name}"] for name in ActivitySlot.COUNTS}
        part[row["day"]] = {name: row[f"part_{name}"] for name in ActivitySlot.COUNTS}
    return whole, part


_RATIOS = {
    "mean-rating": ("rating_sum", ("n_ratings",)),
    "like-rate": ("n_likes", ("n_responses",)),
    "skip-rate": ("n_skips", ("n_plays", "n_skips")),
    "fallback-rate": ("n_fallbacks", ("n_slates",)),
    "experiment-coverage": ("n_in_experiment", ("n_slates",)),
}
_COUNTS = {
    "active-listeners": "n_first_seen",
    "slates": "n_slates",
    "responses": "n_responses",
}


def _figures(today: dict[str, int], before: dict[str, int], days_before: int) -> dict[str, Figure]:
    figures = {
        key: Figure(key, today[column], before[column] / days_before if days_before else None)
        for key, column in _COUNTS.items()
    }
    for key, (numerator, denominators) in _RATIOS.items():
        n, n_before = (sum(sums[name] for name in denominators) for sums in (today, before))
        figures[key] = Figure(
            key,
            today[numerator] / n if n else None,
            before[numerator] / n_before if n_before else None,
            n,
            n_before,
        )
    return figures
