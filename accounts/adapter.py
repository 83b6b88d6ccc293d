"""What django-allauth asks of us: one limit on tries, listeners for those who sign up, a name."""

import json
import logging
from smtplib import SMTPException
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.headless.adapter import DefaultHeadlessAdapter
from django.db import transaction
from django.forms import BaseForm
from django.http import HttpRequest, RawPostDataException

from accounts import services
from accounts.models import ApiToken, User
from accounts.passwords import may_try

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):
    """Accounts, as pages and headless clients both see them."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_taken": "This email already has an account.",
        "email_password_mismatch": "The email or the password is wrong.",
        "too_many_login_attempts": "Too many tries for this account. Wait a minute.",
    }

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Refuse a password where the account was tried too often.

        Counted in Redis in one step, with the tries for tokens: many addresses, or many requests
        at once, get no more of them.
        """
        email = credentials.get("email") or credentials.get("username") or ""
        if not may_try(email):
            raise self.validation_error("too_many_login_attempts")
        super().pre_authenticate(request, **credentials)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail; where the mail server is away the act goes on, and mail can be asked again.

        Somebody who signs up must not see an error for an account that was created.
        """
        try:
            super().send_mail(template_prefix, email, context)
        except (OSError, SMTPException):
            logger.exception("a mail (%s) could not be sent", template_prefix)

    def clean_password(self, password: str, user: User | None = None) -> str:
        """Refuse a password that is too easy, also one that is the email of who signs up.

        The headless signup names nobody; the email is taken from its body then.
        """
        if user is None and self.request is not None:
            user = User(email=_email_in_body(self.request))
        return super().clean_password(password, user)

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Verify an address; where it is a new one, it takes the place of the old."""
        if not super().confirm_email(request, email_address):
            return False
        if not email_address.primary:
            email_address.set_as_primary()
        user = email_address.user_id
        EmailAddress.objects.filter(user=user).exclude(pk=email_address.pk).delete()
        return True

    def save_user(
        self, request: HttpRequest, user: User, form: BaseForm, commit: bool = True
    ) -> User:
        """Save who signs up, with their listener."""
        user = super().save_user(request, user, form, commit=commit)
        if commit:
            services.listener_of(user)
        return user

    @transaction.atomic
    def set_password(self, user: User, password: str) -> None:
        """Set a password, changed or reset; who knew the old one keeps no token that it gave.

        Sessions other than the present one end by themselves: they hold a hash of the password.
        """
        super().set_password(user, password)
        services.revoke_tokens(user=user)

    def logout(self, request: HttpRequest) -> None:
        """End the session, and with it the tokens that were given to it."""
        if key := request.session.session_key:
            ApiToken.objects.filter(user_session__session_key=key).delete()
        super().logout(request)


def _email_in_body(request: HttpRequest) -> str:
    if request.content_type != "application/json":
        return ""
    try:
        email = json.loads(request.body).get("email")
    except (ValueError, AttributeError, RawPostDataException):
        return ""
    return email if isinstance(email, str) else ""


class HeadlessAdapter(DefaultHeadlessAdapter):
    """What headless answers say of a user."""

    def serialize_user(self, user: User) -> dict[str, Any]:
        """Return a user under the name by which the rest of the API knows their listener."""
        data = super().serialize_user(user)
        if user.pk:
            data["id"] = services.listener_of(user).key
            data["is_staff"] = user.is_staff
        return data
