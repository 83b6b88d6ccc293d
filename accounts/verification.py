"""Where an address must be verified before anybody gets in by it; the steps are allauth's."""

from allauth.account import app_settings
from allauth.account.internal.flows.email_verification import (
    send_verification_email_at_login,
    send_verification_email_to_address,
)
from allauth.account.models import EmailAddress, Login
from allauth.account.utils import has_verified_email
from django.http import HttpRequest
from rest_framework.exceptions import PermissionDenied

from accounts import sign_in_log
from accounts.models import User


class EmailUnverified(PermissionDenied):
    """Somebody may come in once they followed the link in a mail."""

    default_code = "email_unverified"
    default_detail = "Follow the link in the mail that was sent to this address, then log in."


def must_be_verified() -> bool:
    """Return whether nobody gets in before their address is verified."""
    return app_settings.EMAIL_VERIFICATION == app_settings.EmailVerificationMethod.MANDATORY


def tell_owner(request: HttpRequest, email: str) -> None:
    """Send a mail to an address that has an account: somebody, perhaps its owner, signs up anew."""
    # Of an address that belongs to nobody allauth takes it that the account is to be kept secret.
    send_verification_email_to_address(request, EmailAddress(email=email), signup=True)


def refuse_unverified(request: HttpRequest, user: User, email: str) -> None:
    """Let who knows a password in only by a verified address, where that is asked for.

    Raises:
        EmailUnverified: it is not; another mail was sent, but for one of the last three minutes.
    """
    if not must_be_verified() or has_verified_email(user, email):
        return
    send_verification_email_at_login(request, Login(user=user, email=email))
    sign_in_log.unverified(user)
    raise EmailUnverified
