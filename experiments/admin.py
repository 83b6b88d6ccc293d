"""Control of experiments: edit drafts; every act on a running one is confirmed and kept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from simple_history.admin import SimpleHistoryAdmin

from experiments import services
from experiments.forms import (
    ConfirmForm,
    CoverageForm,
    MetricRolesFormSet,
    ReasonForm,
    ShipForm,
    TemplateForm,
)
from experiments.models import (
    AssignmentSettings,
    Experiment,
    ExperimentMetric,
    Metric,
    Phase,
    Variant,
)
from experiments.models.planning import EDITABLE_WHILE_RUNNING, LOCKED
from musicrec.exceptions import RuleViolation

Status = Experiment.Status


@dataclass(frozen=True)
class Act:
    """One confirmed act: when it is offered, what it asks, what it does."""

    label: str
    words: str
    form: type[forms.Form]
    permission: str
    statuses: tuple[str, ...]
    perform: Callable[..., Any]
    is_dangerous: bool = False


def _start(experiment: Experiment, *, by: Any, **_: Any) -> None:
    services.start(experiment, at=timezone.now(), by=by)


def _pause(experiment: Experiment, *, reason: str, by: Any) -> None:
    services.pause(experiment, reason=reason, by=by)


def _coverage(experiment: Experiment, *, coverage: float, by: Any) -> None:
    services.change_coverage(experiment, coverage=coverage, by=by)


def _stop(experiment: Experiment, *, reason: str, by: Any) -> None:
    services.stop(experiment, reason=reason, at=timezone.now(), by=by)


def _ship(experiment: Experiment, *, variant: str, reason: str, by: Any) -> None:
    services.ship(experiment, variant_key=variant, reason=reason, at=timezone.now(), by=by)


def _phase(experiment: Experiment, *, reason: str, by: Any) -> None:
    services.begin_phase(experiment, reason=reason, at=timezone.now(), by=by)


ACTS = {
    "start": Act(
        "Start experiment",
        "Listeners are assigned from the next request on. Variants, seed and metrics are fixed.",
        ConfirmForm,
        "experiments.run_experiment",
        (Status.DRAFT, Status.PAUSED),
        _start,
    ),
    "pause": Act(
        "Pause experiment",
        "Listeners get the default policy until it is started again; each keeps their variant.",
        ReasonForm,
        "experiments.run_experiment",
        (Status.RUNNING,),
        _pause,
    ),
    "coverage": Act(
        "Change coverage",
        "Another share of the eligible is enrolled. Nobody who is in changes variant.",
        CoverageForm,
        "experiments.run_experiment",
        (Status.RUNNING, Status.PAUSED),
        _coverage,
    ),
    "stop": Act(
        "Stop experiment",
        "Everybody gets the default policy. The numbers stay.",
        ReasonForm,
        "experiments.run_experiment",
        (Status.RUNNING, Status.PAUSED),
        _stop,
        is_dangerous=True,
    ),
    "ship": Act(
        "Ship a variant",
        "Its policy becomes the default for everybody, and the experiment stops.",
        ShipForm,
        "experiments.ship_experiment",
        (Status.RUNNING, Status.PAUSED, Status.STOPPED),
        _ship,
        is_dangerous=True,
    ),
    "phase": Act(
        "Begin a new phase",
        "The phase ends, the plan may be edited, and starting again randomizes everybody anew.",
        ReasonForm,
        "experiments.run_experiment",
        (Status.RUNNING, Status.PAUSED, Status.STOPPED),
        _phase,
        is_dangerous=True,
    ),
}


class _LockedInline(admin.TabularInline):
    """Rows that are fixed while their experiment is under way."""

    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        return not (obj and obj.is_locked) and super().has_add_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        return not (obj and obj.is_locked) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        return not (obj and obj.is_locked) and super().has_delete_permission(request, obj)


class VariantInline(_LockedInline):
    """Variants of an experiment."""

    model = Variant
    fields = ("position", "key", "policy", "weight")


class ExperimentMetricInline(_LockedInline):
    """Metrics of an experiment."""

    model = ExperimentMetric
    formset = MetricRolesFormSet


@admin.register(Experiment)
class ExperimentAdmin(SimpleHistoryAdmin):
    """Experiments and the acts on them."""

    list_display = ("key", "status", "phase_number", "coverage", "created_at")
    list_filter = ("status", "layer")
    search_fields = ("key", "hypothesis")
    inlines = (VariantInline, ExperimentMetricInline)
    change_form_template = "experiments/admin_change_form.html"
    readonly_fields = ("status", "phase_number")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Experiment | None = None
    ) -> tuple[str, ...]:
        """Fix the plan of a running experiment; coverage has its own act."""
        if obj is None or not obj.is_locked:
            return self.readonly_fields
        fixed = [
            field.name
            for field in obj._meta.fields
            if field.editable
            and not field.primary_key
            and field.attname not in EDITABLE_WHILE_RUNNING - {"coverage"}
        ]
        return tuple(dict.fromkeys([*self.readonly_fields, *fixed]))

    def has_delete_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        """Let only drafts that never ran be deleted."""
        if obj is not None and (obj.status != Status.DRAFT or obj.phase_number > 1):
            return False
        return super().has_delete_permission(request, obj)

    def get_urls(self) -> list[URLPattern]:
        """Add the acts and the template."""
        wrap = self.admin_site.admin_view
        return [
            path("template/", wrap(self.template_view), name="experiments_experiment_template"),
            path(
                "<int:pk>/act/<slug:name>/", wrap(self.act_view), name="experiments_experiment_act"
            ),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the acts that fit the status, and why the plan is fixed."""
        experiment = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if experiment is not None:
            context["acts"] = [
                (name, act)
                for name, act in ACTS.items()
                if experiment.status in act.statuses and request.user.has_perm(act.permission)
            ]
            if experiment.is_locked:
                context["locked"] = LOCKED % "variants, seed and metrics"
            elif experiment.status == Status.DRAFT:
                context["checks"] = services.check_before_launch(experiment)
        return super().change_view(request, object_id, form_url, context)

    def act_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Ask, and on a yes perform."""
        act = ACTS.get(name)
        experiment = Experiment.objects.filter(pk=pk).first()
        if act is None or experiment is None:
            raise Http404(f"no act {name} on experiment {pk}")
        if not request.user.has_perm(act.permission):
            raise PermissionDenied
        extra = {"experiment": experiment} if act.form is ShipForm else {}
        form = act.form(request.POST if request.method == "POST" else None, **extra)
        if request.method == "POST" and form.is_valid():
            try:
                act.perform(experiment, by=request.user, **form.cleaned_data)
            except RuleViolation as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, f"{act.label}: done.")
                return HttpResponseRedirect(
                    reverse("admin:experiments_experiment_change", args=[pk])
                )
        checks = []
        if name == "start" and experiment.status == Status.DRAFT:
            checks = services.check_before_launch(experiment)
        return self._form_page(
            request,
            form,
            title=f"{act.label}: {experiment.key}",
            words=act.words,
            button=act.label,
            checks=checks,
            back=reverse("admin:experiments_experiment_change", args=[pk]),
        )

    def template_view(self, request: HttpRequest) -> HttpResponse:
        """Create a draft from the template."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = TemplateForm(
            request.POST if request.method == "POST" else None,
            initial={"goal": "mean_rating", "guardrails": ["skip_rate", "latency_ms"]},
        )
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            try:
                experiment = services.create_from_template(
                    key=given["key"],
                    hypothesis=given["hypothesis"],
                    policies=given["policies"],
                    goal=given["goal"].key,
                    guardrails=[metric.key for metric in given["guardrails"]],
                    by=request.user,
                )
            except RuleViolation as error:
                form.add_error(None, str(error))
            else:
                return HttpResponseRedirect(
                    reverse("admin:experiments_experiment_change", args=[experiment.pk])
                )
        return self._form_page(
            request,
            form,
            title="New experiment",
            words="A draft with equal weights; everything can be edited before it starts.",
            button="Create draft",
            checks=[],
            back=reverse("admin:experiments_experiment_changelist"),
        )

    def _form_page(self, request: HttpRequest, form: forms.Form, **context: Any) -> HttpResponse:
        return TemplateResponse(
            request,
            "experiments/admin_confirm.html",
            {**self.admin_site.each_context(request), "form": form, "opts": self.opts, **context},
        )


@admin.register(Metric)
class MetricAdmin(SimpleHistoryAdmin):
    """Metrics; fixed while a running experiment uses them."""

    list_display = ("key", "kind", "numerator", "denominator", "higher_is_better", "window_hours")


@admin.register(AssignmentSettings)
class AssignmentSettingsAdmin(SimpleHistoryAdmin):
    """The default policy, the kill switch and the holdout."""

    list_display = ("__str__", "default_policy", "experiments_enabled", "holdout_share")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: there is one row."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: there is one row."""
        return False


@admin.register(Phase)
class PhaseAdmin(admin.ModelAdmin):
    """Phases, to read."""

    list_display = ("experiment", "number", "started_at", "ended_at", "verdict")
    list_select_related = ("experiment",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: starting an experiment makes a phase."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: a phase is what happened."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: a phase is what happened."""
        return False
