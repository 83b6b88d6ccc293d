"""What a listener's token and a service's key have in common: the header, and the noted use."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rest_framework.authentication import get_authorization_header
from rest_framework.request import Request

if TYPE_CHECKING:
    from accounts.models import ApiToken, ServiceKey

USE_NOTED_EVERY = timedelta(hours=1)
"""How exactly a secret remembers its last use; so a request rarely writes."""


def bearer_secret(request: Request) -> bytes | None:
    """Return the secret after ``Authorization: Bearer``; None where there is no such header."""
    keyword, _, secret = get_authorization_header(request).partition(b" ")
    return secret.strip() if keyword.lower() == b"bearer" else None


def note_use(row: ApiToken | ServiceKey, *, at: datetime) -> None:
    """Note that a secret was used, unless that was noted within the hour."""
    if row.last_used_at is None or at - row.last_used_at >= USE_NOTED_EVERY:
        type(row)._default_manager.filter(pk=row.pk).update(last_used_at=at)
