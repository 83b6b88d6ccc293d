"""Users and listeners in the admin."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from accounts.models import Listener, User


@admin.register(User)
class EmailUserAdmin(UserAdmin):
    """Users, by email."""

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

    list_display = ("key", "user", "is_simulated", "country", "created_at")
    list_filter = ("is_simulated",)
    search_fields = ("external_id", "uuid", "user__email")
    list_select_related = ("user",)
    raw_id_fields = ("user",)
    readonly_fields = ("uuid", "created_at")
