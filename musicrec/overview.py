"""The console's first page: how it goes today, and what calls for somebody."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import JSONField, OuterRef, Subquery, Sum
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from bandits.models import Bandit, Snapshot
from experiments.models import Phase
from musicrec.charts import Series, line_chart
from recommendations.core.alarms import Alarm, alarms
from recommendations.models import AuditEntry, OutboxEvent, TrainingRun
from recommendations.models.outbox import Backlog
from recommendations.reports.activity import Activity, Figure, activity
from recommendations.reports.definitions import ALARM_TEXTS, DEFINITIONS
from recommendations.reports.learning import Serving, serving
from recommendations.reports.machinery import measurements, processes
from recommendations.reports.traffic import traffic
from recommendations.reports.vitals import vitals
from recommendations.templatetags.console import decimal, percent, whole
from recommendations.views.console.base import ConsoleView

UNHEALTHY = "unhealthy"
HARMFUL = "roll back"


@dataclass(frozen=True)
class Standing:
    """A bandit's leading arm.

    Attributes:
        arm: with the largest probability of being the best; None before the first snapshot.
        probability: that one.
        pinned_arm: to which all traffic goes, or None.
    """

    bandit: str
    arm: str | None
    probability: float | None
    pinned_arm: str | None
    computed_at: datetime | None


@dataclass(frozen=True)
class Running:
    """An experiment that is under way.

    Attributes:
        phase: its newest one, with the experiment.
        listeners: exposed to it in this phase.
        days: since the phase began.
    """

    phase: Phase
    listeners: int
    days: float


@dataclass(frozen=True)
class Overview:
    """Everything of the first page, read in a dozen queries."""

    at: datetime
    activity: Activity
    serving: Serving
    experiments: list[Running]
    standings: list[Standing]
    backlog: Backlog
    alarms: list[Alarm]


def overview(*, at: datetime) -> Overview:
    """Read how it goes."""
    today = activity(at=at)
    serves = serving()
    backlog = OutboxEvent.objects.backlog(at=at)
    running = _running(at)
    standings = _standings()
    signs = vitals(
        at=at,
        processes=processes(at=at),
        backlog=backlog,
        serving=serves,
        last_run=TrainingRun.objects.ended().first(),
        traffic=traffic(at=at),
        counted_at=today.counted_at,
        measurements=measurements(),
        unhealthy=_judged(running, UNHEALTHY),
        harmful=_judged(running, HARMFUL),
        pinned=[(s.bandit, s.pinned_arm) for s in standings if s.pinned_arm],
    )
    return Overview(at, today, serves, running, standings, backlog, alarms(signs))


def _running(at: datetime) -> list[Running]:
    phases = (
        Phase.objects.open()
        .select_related("experiment")
        .annotate(listeners=Sum("exposurecount__n", default=0))
        .order_by("-started_at")
    )
    return [
        Running(phase, phase.listeners, (at - phase.started_at).total_seconds() / 86_400)
        for phase in phases
    ]


def _judged(running: list[Running], verdict: str) -> list[str]:
    return [row.phase.experiment.key for row in running if row.phase.verdict == verdict]


def _standings() -> list[Standing]:
    newest = Snapshot.objects.filter(bandit=OuterRef("pk")).order_by("-taken_at")
    bandits = (
        Bandit.objects.select_related("pinned_arm")
        .annotate(
            taken_at=Subquery(newest.values("taken_at")[:1]),
            standing=Subquery(newest.values("report__standing")[:1], output_field=JSONField()),
        )
        .order_by("key")
    )
    found = []
    for bandit in bandits:
        standing = bandit.standing or {}
        arm = max(standing, key=standing.get, default=None)
        pinned = bandit.pinned_arm.key if bandit.pinned_arm else None
        found.append(Standing(bandit.key, arm, standing.get(arm), pinned, bandit.taken_at))
    return found


class OverviewView(ConsoleView):
    """How it goes today against last week, and what calls for somebody."""

    template_name = "console/overview.html"
    fragment_name = "console/_overview.html"

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Report on today."""
        found = overview(at=timezone.now())
        return self.page(_page(found, request)) if self.is_page else Response(_data(found))


def _data(found: Overview) -> dict[str, Any]:
    version = found.serving.version
    return {
        "generated_at": found.at,
        "today": {
            "until": found.activity.until,
            "counted_at": found.activity.counted_at,
            "days_before": found.activity.days_before,
            "simulated": found.activity.is_simulated,
            "figures": {
                key.replace("-", "_"): {
                    "value": figure.value,
                    "before": figure.before,
                    "change": figure.change,
                    "n": figure.n,
                }
                for key, figure in found.activity.figures.items()
            },
        },
        "model": None
        if version is None
        else {
            "version": version.pk,
            "trained_at": version.created_at,
            "age_days": found.serving.age_days(at=found.at),
        },
        "experiments": [
            {
                "experiment": row.phase.experiment.key,
                "status": row.phase.experiment.status,
                "listeners": row.listeners,
                "verdict": row.phase.verdict,
                "verdict_words": row.phase.verdict_words,
            }
            for row in found.experiments
        ],
        "bandits": [asdict(standing) for standing in found.standings],
        "queue": asdict(found.backlog),
        "alarms": [
            asdict(alarm) | {"what_to_do": ALARM_TEXTS[alarm.key].remedy} for alarm in found.alarms
        ],
    }


_LEDGER = "admin:recommendations_recommendation_changelist"
_FEEDBACK = "admin:recommendations_feedback_changelist"
_ROWS = {
    "active-listeners": (_LEDGER, ""),
    "slates": (_LEDGER, ""),
    "responses": (_FEEDBACK, ""),
    "mean-rating": (_FEEDBACK, "kind__exact=rating"),
    "like-rate": (_FEEDBACK, "kind__exact=like"),
    "skip-rate": (_FEEDBACK, "kind__exact=skip"),
    "fallback-rate": (_LEDGER, "fallback__gt="),
    "experiment-coverage": (_LEDGER, "experiment__gt="),
}
_TIME_OF = {_LEDGER: "created_at", _FEEDBACK: "received_at"}
_WORSE_WHEN_HIGHER = {"skip-rate", "fallback-rate"}
_WITHOUT_DIRECTION = {"experiment-coverage"}


def _page(found: Overview, request: Request) -> dict[str, Any]:
    today = found.activity
    return {
        "found": found,
        "tiles": [_tile(figure, found) for figure in today.figures.values()],
        "alarms": [_alarm(alarm) for alarm in found.alarms],
        "charts": [
            {
                "title": title,
                "column": name,
                "svg": line_chart(
                    [Series(noun, [(row["day"], float(row[name])) for row in today.by_day])],
                    title=f"{title}, whole days (UTC)",
                    description="The table below the chart has every number.",
                ),
                "rows": [(row["day"], row[name]) for row in reversed(today.by_day)],
            }
            for title, name, noun in (
                ("Active listeners per day", "listeners", "listeners"),
                ("Lists per day", "slates", "lists"),
                ("Responses per day", "responses", "responses"),
            )
        ]
        if today.by_day
        else [],
        "changes": AuditEntry.objects.exclude(act="looked at")[:6]
        if request.user.has_perm("recommendations.view_auditentry")
        else None,
    }


def _tile(figure: Figure, found: Overview) -> dict[str, Any]:
    name, condition = _ROWS[figure.key]
    midnight = found.activity.until.replace(hour=0, minute=0)
    since = f"{_TIME_OF[name]}__gte={midnight:%Y-%m-%dT%H:%M:%SZ}"
    if figure.n is None:
        value, before = whole(figure.value), whole(figure.before)
    elif figure.key == "mean-rating":
        value, before = decimal(figure.value, 2), decimal(figure.before, 2)
    else:
        value, before = percent(figure.value), percent(figure.before)
    return {
        "key": figure.key,
        "label": DEFINITIONS[figure.key].label,
        "value": value,
        "before": before,
        "n": figure.n,
        "change": _change(figure),
        "tone": _tone(figure),
        "rows_url": f"{reverse(name)}?{condition}{'&' if condition else ''}{since}",
    }


def _change(figure: Figure) -> str:
    if figure.change is None:
        return ""
    return "no change" if abs(figure.change) < 0.005 else f"{figure.change:+.0%}"


def _tone(figure: Figure) -> str:
    if figure.change is None or not figure.is_notable or figure.key in _WITHOUT_DIRECTION:
        return ""
    is_better = (figure.change > 0) != (figure.key in _WORSE_WHEN_HIGHER)
    return "good" if is_better else "warn"


def _alarm(alarm: Alarm) -> dict[str, Any]:
    text = ALARM_TEXTS[alarm.key]
    url = reverse(text.url_name)
    if text.url_name == "ab-testing":
        url += f"?experiment={alarm.target}"
    return {"alarm": alarm, "act": text.act, "url": url, "remedy": text.remedy}
