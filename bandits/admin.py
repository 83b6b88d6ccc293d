"""Controlling bandits by hand; every act goes through the services."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from simple_history.admin import SimpleHistoryAdmin

from bandits import services
from bandits.models import Archive, Arm, Bandit, Decision


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that are looked at, not edited."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False


def _each(
    request: HttpRequest, rows: QuerySet[Any], act: Callable[[Any], object], done: str
) -> None:
    """Do `act` to every row, and say what was done and which rule stood in the way."""
    for row in rows:
        try:
            act(row)
        except services.BanditRuleViolation as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"{row} {done}.")


@admin.register(Bandit)
class BanditAdmin(SimpleHistoryAdmin):
    """Settings with their history; reset and unpin."""

    list_display = [
        "key",
        "policy",
        "floor",
        "exploration",
        "half_life",
        "pinned_arm",
        "version",
        "under_way",
    ]
    fields = ["key", *services.SETTINGS, "pinned_arm", "version", "under_way"]
    readonly_fields = ["key", "pinned_arm", "version", "under_way"]
    list_select_related = ["pinned_arm"]
    actions = ["reset", "unpin"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A bandit comes with the code that asks it."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Its decisions are a ledger."""
        return False

    @admin.display(description="under way", empty_value="nothing")
    def under_way(self, bandit: Bandit) -> str | None:
        """Say how far a rebuild is."""
        return services.rebuild_words(bandit) or None

    def save_model(self, request: HttpRequest, obj: Bandit, form: Any, change: bool) -> None:
        """Change the settings by the service, which keeps what was learned in step."""
        changed = {name: form.cleaned_data[name] for name in form.changed_data}
        bandit = services.change_settings(obj, at=timezone.now(), **changed)
        if words := services.rebuild_words(bandit):
            messages.info(request, words)

    @admin.action(
        description="Reset: archive what was learned, begin from nothing", permissions=["change"]
    )
    def reset(self, request: HttpRequest, queryset: QuerySet[Bandit]) -> HttpResponse | None:
        """Ask first; then reset each."""
        if "confirmed" not in request.POST:
            context = self.admin_site.each_context(request) | {
                "title": "Reset what was learned?",
                "bandits": queryset,
                "action_checkbox_name": admin.helpers.ACTION_CHECKBOX_NAME,
                "opts": self.opts,
            }
            return TemplateResponse(request, "bandits/confirm_reset.html", context)
        reason = request.POST.get("reason", "")[:200]
        _each(
            request,
            queryset,
            lambda bandit: services.reset(bandit, at=timezone.now(), reason=reason),
            "was reset; what it had learned is under Archives",
        )
        return None

    @admin.action(description="Unpin: let the policy choose again", permissions=["change"])
    def unpin(self, request: HttpRequest, queryset: QuerySet[Bandit]) -> None:
        """Unpin each."""
        _each(request, queryset, services.unpin, "is unpinned")


class NewArmForm(forms.ModelForm):
    """An arm to add."""

    warm_start = forms.BooleanField(
        required=False, help_text="begin from the mean of what the other arms have learned"
    )

    class Meta:
        model = Arm
        fields = ["bandit", "key"]


@admin.register(Arm)
class ArmAdmin(SimpleHistoryAdmin):
    """Arms: add, pause, resume, retire, pin."""

    list_display = ["key", "bandit", "status", "created_at"]
    list_filter = ["bandit", "status"]
    list_select_related = ["bandit"]
    actions = ["pause", "resume", "retire", "pin"]

    def get_form(
        self, request: HttpRequest, obj: Arm | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form of a new arm; an old one has no field that may be edited."""
        if obj is None:
            kwargs["form"] = NewArmForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Arm | None = None) -> list[str]:
        """Return what is shown."""
        if obj is None:
            return ["bandit", "key", "warm_start"]
        return ["bandit", "key", "status", "position", "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Arm | None = None) -> list[str]:
        """Status changes by actions, whose rules a form does not know."""
        return [] if obj is None else ["bandit", "key", "status", "created_at"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Retire it instead: decisions name it."""
        return False

    def save_model(self, request: HttpRequest, obj: Arm, form: Any, change: bool) -> None:
        """Add a new arm by the service."""
        if change:
            super().save_model(request, obj, form, change)
            return
        added = services.add_arm(
            obj.bandit,
            key=obj.key,
            at=timezone.now(),
            warm_start=form.cleaned_data["warm_start"],
        )
        obj.pk = added.pk

    @admin.action(description="Pause: not chosen until resumed", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Arm]) -> None:
        """Pause each."""
        _each(request, queryset, lambda arm: services.set_status(arm, "paused"), "is paused")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Arm]) -> None:
        """Resume each."""
        _each(request, queryset, lambda arm: services.set_status(arm, "active"), "is active")

    @admin.action(description="Retire: never chosen again", permissions=["change"])
    def retire(self, request: HttpRequest, queryset: QuerySet[Arm]) -> None:
        """Retire each."""
        _each(request, queryset, lambda arm: services.set_status(arm, "retired"), "is retired")

    @admin.action(description="Pin: give it all traffic", permissions=["change"])
    def pin(self, request: HttpRequest, queryset: QuerySet[Arm]) -> None:
        """Pin each; the last one of a bandit counts."""
        _each(request, queryset, services.pin, "is pinned")


@admin.register(Archive)
class ArchiveAdmin(ReadOnlyAdmin):
    """What was learned before a reset; restore it."""

    list_display = ["bandit", "archived_at", "reason", "restored_at"]
    list_select_related = ["bandit"]
    actions = ["restore"]

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Return whether this person may restore."""
        return request.user.has_perm("bandits.change_archive")

    @admin.action(description="Restore: count it again, with what came since", permissions=["act"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Archive]) -> None:
        """Restore each."""
        _each(
            request,
            queryset,
            lambda archive: services.restore(archive, at=timezone.now()),
            "is restored; where rates differ the worker computes the sums anew",
        )


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    """Every decision, to look at."""

    list_display = [
        "request_id",
        "decided_at",
        "arm",
        "served_arm",
        "propensity",
        "reward",
        "state",
    ]
    list_filter = ["bandit", "state", "arm"]
    search_fields = ["=request_id"]
    show_full_result_count = False  # an exact count of a ledger is slow
    ordering = ["-decided_at"]
