"""How often a password may be tried, whatever the door."""

from accounts import sign_in_log
from accounts.models import User
from musicrec.limits import counts

TRIES = 10
"""Passwords a minute for one account, from whatever address."""


def may_try(email: str) -> bool:
    """Count one try for an account, and return whether it is within the limit.

    Counted in Redis in one step, for pages, headless clients and tokens together: many addresses,
    or many requests at once, get no more tries.
    """
    allowed = counts().add(f"login:{email.lower()}", limit=TRIES)
    if not allowed:
        sign_in_log.tried_too_often(email)
    return allowed


def is_password_of(user: User, password: str) -> bool:
    """Return whether somebody who is logged in knows their password; counts as a try."""
    return may_try(user.email) and user.check_password(password)
