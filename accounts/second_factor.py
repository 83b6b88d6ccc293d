"""Second factors: who has one, who has shown it, and where staff need it."""

from allauth.account.internal.flows.login import (
    get_authentication_records,
    record_authentication,
)
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from accounts.models import ApiToken, User

BEHIND_SECOND_FACTOR = ("/admin/", "/analytics")
"""Beginnings of the paths that are for staff."""


def needs_second_factor(path: str) -> bool:
    """Return whether a path is for staff who have shown a second factor."""
    is_login = path == reverse("admin-login")
    return settings.STAFF_MFA and path.startswith(BEHIND_SECOND_FACTOR) and not is_login


def has_authenticator(user: User) -> bool:
    """Return whether a user has set up an authenticator app."""
    return is_mfa_enabled(user, types=[Authenticator.Type.TOTP])


def showed_second_factor(request: HttpRequest) -> bool:
    """Return whether the request's session has shown a second factor."""
    records = get_authentication_records(request, request.user)
    return any(record["method"] == "mfa" for record in records)


def has_second_factor(request: HttpRequest) -> bool:
    """Return whether a request's token or session stands for a second factor that was shown."""
    if isinstance(getattr(request, "auth", None), ApiToken):
        return request.auth.second_factor
    return showed_second_factor(request)


def is_kept_from_staff(path: str, token: ApiToken) -> bool:
    """Return whether a member of staff shows a password's token where it takes a second factor."""
    return token.user.is_staff and not token.second_factor and needs_second_factor(path)


@transaction.atomic
def check_code(user: User, code: str) -> bool:
    """Return whether `code` is the app's present one or an unused recovery code; uses it up."""
    authenticators = Authenticator.objects.filter(user=user, type__in=["totp", "recovery_codes"])
    for authenticator in authenticators:
        if code and authenticator.wrap().validate_code(code):
            authenticator.record_usage()
            return True
    return False


def remember_setting_up(sender: object, **kwargs) -> None:
    """Take the code that sets a second factor up for one that is shown; a receiver of allauth's."""
    record_authentication(kwargs["request"], kwargs["user"], method="mfa", reauthenticated=True)
