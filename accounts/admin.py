"""Users and listeners in the admin."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Listener, ServiceAccount, ServiceKey, User
from accounts.service_accounts import Scope
from accounts.services import revoke_service_key, revoke_tokens


class PasswordForm(AdminPasswordChangeForm):
    """A password that staff set for somebody."""

    @transaction.atomic
    def save(self, commit: bool = True) -> User:
        """Set it, and end the tokens that the old one gave."""
        user: User = super().save(commit)
        revoke_tokens(user=user)
        return user


@admin.register(User)
class EmailUserAdmin(UserAdmin):
    """Users, by email."""

    change_password_form = PasswordForm
    ordering = ("email",)
    list_display = ("email", "is_staff", "is_active", "last_login")
    search_fields = ("email",)
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "password1", "password2")}),)


@admin.register(Listener)
class ListenerAdmin(admin.ModelAdmin):
    """Listeners."""

    list_display = ("key", "service", "user", "is_simulated", "country", "created_at")
    list_filter = ("is_simulated", "service")
    search_fields = ("external_id", "uuid", "user__email")
    list_select_related = ("user", "service")
    raw_id_fields = ("user",)
    readonly_fields = ("uuid", "created_at")


@admin.register(ServiceAccount)
class ServiceAccountAdmin(admin.ModelAdmin):
    """Music services that bring their own listeners; switched off, none of their keys works."""

    list_display = ("name", "is_active", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name",)
    readonly_fields = ("created_at",)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody deletes one: its listeners would be nobody's. It can be switched off."""
        return False


class ServiceKeyForm(forms.ModelForm):
    """A new key."""

    scopes = forms.MultipleChoiceField(choices=Scope.choices, widget=forms.CheckboxSelectMultiple)

    class Meta:
        model = ServiceKey
        fields = ("service", "name", "scopes", "expires_at")


@admin.register(ServiceKey)
class ServiceKeyAdmin(admin.ModelAdmin):
    """Keys of services. A new one is shown once; one that was made can only be revoked."""

    form = ServiceKeyForm
    list_display = ("service", "name", "scopes", "created_at", "last_used_at", "expires_at",
                    "revoked_at")  # fmt: skip
    list_filter = ("service",)
    list_select_related = ("service",)
    actions = ("revoke",)

    def save_model(self, request: HttpRequest, obj: ServiceKey, form: Any, change: bool) -> None:
        """Make the secret, keep its digest and show it."""
        secret = ServiceKey.new_secret()
        obj.digest = ServiceKey.digest_of(secret)
        super().save_model(request, obj, form, change)
        self.message_user(request, f"The key is {secret} and is shown this once.", messages.WARNING)

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody changes a key; the list may still be seen and acted upon."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody deletes one: that it was there stays known."""
        return False

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ServiceKey]) -> None:
        """End keys at once."""
        now = timezone.now()
        for key in queryset:
            if revoke_service_key(key=key, at=now):
                self.log_change(request, key, "revoked")
        self.message_user(request, "They are revoked.")
