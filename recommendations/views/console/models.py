"""The registry: versions side by side, promote, roll back, train, compare."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Listener
from musicrec.exceptions import RuleViolation
from recommendations.models import ModelVersion, ServingState, TrainingRun
from recommendations.reports import model_quality
from recommendations.reports.learning import progress, runs, serving, versions
from recommendations.services import audit, inspecting
from recommendations.services import train as training
from recommendations.serving.strategies import STRATEGIES
from recommendations.tasks import queue_training
from recommendations.views.console.base import ConsolePage, ConsoleView
from recommendations.views.console.system import model_data


class ModelsView(ConsoleView):
    """Every version with what was measured of it, and the training runs."""

    permission = "recommendations.view_modelversion"
    template_name = "console/models.html"
    fragment_name = "console/_models.html"

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Report on the newest versions and runs."""
        at = timezone.now()
        serves = serving()
        found = list(versions())
        if not self.is_page:
            return Response(
                {
                    "serving": serves.version.pk if serves.version else None,
                    "previous": serves.previous.pk if serves.previous else None,
                    "versions": [model_data(version, at=at) for version in found],
                }
            )
        rows = [
            {
                "version": version,
                "quality": model_quality.of(version),
                "serves": serves.version == version,
                "before": serves.previous == version,
            }
            for version in found
        ]
        open_run = next((run for run in runs(limit=1) if run.status in ("queued", "running")), None)
        return self.page(
            {
                "rows": rows,
                "serving": serves,
                "runs": [{"run": run, "progress": progress(run, at=at)} for run in runs(limit=8)],
                "open_run": open_run,
                "others": [row["version"] for row in rows if not row["serves"]],
                "strategies": _modelled(),
            }
        )


def _modelled() -> list[str]:
    return [name for name in STRATEGIES if name not in ("trending", "content_based")]


ACTS = {
    "promote": "recommendations.change_servingstate",
    "roll-back": "recommendations.change_servingstate",
    "train": "recommendations.add_trainingrun",
}


class ModelActView(ConsolePage):
    """Promote, roll back, train: asked once more, done once, written into the log."""

    permission = "recommendations.view_modelversion"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Let only those in who may do this act."""
        needed = ACTS[kwargs["act"]]
        if request.user.is_authenticated and not request.user.has_perm(needed):
            raise PermissionDenied("Your role does not include this act.")
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, act: str) -> HttpResponse:
        """Say what would happen, and ask."""
        serves = serving()
        version = None
        if act == "promote":
            version = get_object_or_404(ModelVersion, pk=_number(request.GET.get("version")))
        elif act == "roll-back":
            version = serves.previous
        return self.render(
            "console/model_act.html",
            {
                "act": act,
                "version": version,
                "quality": model_quality.of(version) if version else None,
                "serving": serves,
                "serving_quality": model_quality.of(serves.version) if serves.version else None,
            },
        )

    def post(self, request: HttpRequest, act: str) -> HttpResponse:
        """Do it."""
        try:
            words = getattr(self, f"_{act.replace('-', '_')}")(request)
        except RuleViolation as error:
            messages.error(request, str(error))
        else:
            messages.success(request, words)
        return redirect("models")

    @transaction.atomic
    def _promote(self, request: HttpRequest) -> str:
        version = get_object_or_404(ModelVersion, pk=_number(request.POST.get("version")))
        before = _serving_pk()
        training.promote(version, at=timezone.now())
        self._note(request, "promoted", version, before)
        return f"Model {version.pk} serves within 2 seconds."

    @transaction.atomic
    def _roll_back(self, request: HttpRequest) -> str:
        before = _serving_pk()
        version = training.roll_back(at=timezone.now())
        self._note(request, "rolled back to", version, before)
        return f"Model {version.pk} serves again within 2 seconds."

    @transaction.atomic
    def _train(self, request: HttpRequest) -> str:
        run = queue_training(TrainingRun.Trigger.MANUAL)
        if run is None:
            raise training.TrainingUnderWay("A training run is under way already.")
        audit.note(by=request.user, act="asked for", subject=run, at=timezone.now())
        return f"Run {run.pk} is queued; a worker takes it up."

    def _note(
        self, request: HttpRequest, act: str, version: ModelVersion, before: int | None
    ) -> None:
        audit.note(
            by=request.user,
            act=act,
            subject=version,
            at=timezone.now(),
            words=request.POST.get("reason", "")[:500],
            details={"serving": [before, version.pk]},
        )


def _serving_pk() -> int | None:
    return ServingState.objects.values_list("model_version_id", flat=True).first()


def _number(text: str | None) -> int:
    """Return a primary key that somebody wrote; -1, which no row has, where it is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else -1


class CompareModelsView(ConsolePage):
    """One listener's list of now by two versions, side by side."""

    permission = "recommendations.inspect_listener"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show both lists."""
        asked = request.GET
        found = list(versions())
        known = {version.pk: version for version in found}
        first, second = (
            known.get(_number(asked.get(name)))
            or get_object_or_404(ModelVersion, pk=_number(asked.get(name)))
            for name in ("first", "second")
        )
        strategy = asked.get("strategy", "hybrid_ensemble")
        if strategy not in _modelled():
            strategy = "hybrid_ensemble"
        key = asked.get("listener", "").replace("\x00", "").strip()
        if key:
            listeners = Listener.objects.known_as(key)
        else:
            listeners = Listener.objects.filter(is_simulated=True, taste__n_feedback__gt=0)
        listener = listeners.select_related("preferences").first()
        context: dict[str, Any] = {
            "first": first,
            "second": second,
            "strategy": strategy,
            "strategies": _modelled(),
            "key": listener.key if listener else key,
            "listener": listener,
            "versions": found,
        }
        if listener is not None:
            at = timezone.now()
            audit.note(
                by=request.user,
                act=audit.LOOKED_AT,
                subject=listener,
                at=at,
                words=f"lists of models {first.pk} and {second.pk}",
            )
            try:
                context["lists"] = inspecting.compare_versions(
                    listener, first, second, strategy=strategy, at=at
                )
            except RuleViolation as error:
                context["problem"] = str(error)
        return self.render("console/compare_models.html", context)
