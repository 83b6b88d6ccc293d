"""Who came in, who did not, and who changed how they come in: lines of the log, for investigating.

They are written whatever the log's level is.  A line names an account by its number and never by
its e-mail; where it came from is in the line of the same request, joined by its id.
"""

from __future__ import annotations

from typing import Any

import structlog
from allauth.account import signals as account
from allauth.mfa import signals as mfa
from django.contrib.auth import signals as auth
from django.http import HttpRequest

from accounts.models import User

logger = structlog.get_logger(__name__)


def connect() -> None:
    """Write a line for each act from now on."""
    auth.user_logged_in.connect(_signed_in, dispatch_uid="sign_in_log")
    auth.user_logged_out.connect(_signed_out, dispatch_uid="sign_in_log")
    auth.user_login_failed.connect(_refused, dispatch_uid="sign_in_log")
    for act, signal in {
        "signed_up": account.user_signed_up,
        "password_changed": account.password_changed,
        "password_set": account.password_set,
        "password_reset": account.password_reset,
        "mail_changed": account.email_changed,
        "second_factor_added": mfa.authenticator_added,
        "second_factor_removed": mfa.authenticator_removed,
        "recovery_codes_renewed": mfa.authenticator_reset,
    }.items():
        signal.connect(_Changed(act), dispatch_uid="sign_in_log", weak=False)


def token_issued(user: User, *, name: str, second_factor: bool) -> None:
    """Note that an account got a token of the API, which is how a client signs in."""
    logger.info("token_issued", account=user.pk, name=name, second_factor=second_factor)


def token_refused(user: User) -> None:
    """Note that a right password came without the second factor that the account asks for."""
    logger.warning("second_factor_refused", account=user.pk)


def unverified(user: User) -> None:
    """Note that a right password came for an address that has yet to be verified."""
    logger.warning("unverified_refused", account=user.pk)


def tried_too_often(email: str) -> None:
    """Note that no more passwords are tried for an account for now."""
    logger.warning("tried_too_often", account=_account_of(email))


class _Changed:
    """Writes one act of an account's owner."""

    def __init__(self, act: str) -> None:
        self._act = act

    def __call__(self, *, user: User, **_: Any) -> None:
        logger.info(self._act, account=user.pk)


def _signed_in(*, request: HttpRequest | None, user: User, **_: Any) -> None:
    logger.info("signed_in", account=user.pk, is_staff=user.is_staff)


def _signed_out(*, user: User | None, **_: Any) -> None:
    if user is not None:
        logger.info("signed_out", account=user.pk)


def _refused(*, credentials: dict[str, Any], **_: Any) -> None:
    email = credentials.get("username") or credentials.get("email") or ""
    logger.warning("sign_in_refused", account=_account_of(str(email)))


def _account_of(email: str) -> int | None:
    """Return the number of the account; None where there is none."""
    if "\x00" in email:  # Postgres holds no such text
        return None
    return User.objects.filter(email__iexact=email).values_list("pk", flat=True).first()
