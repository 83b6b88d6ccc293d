"""Writing into the audit log what no trigger sees."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models

from recommendations.models import AuditEntry

LOOKED_AT = "looked at"


def note(
    *,
    by: AbstractBaseUser | AnonymousUser | None,
    act: str,
    subject: models.Model | str,
    at: datetime,
    words: str = "",
    details: dict[str, Any] | None = None,
) -> AuditEntry:
    """Write that somebody did something; in the transaction of the act, so that both or none hold.

    Args:
        by: who; None for the system itself.
        act: what they did, in the past tense.
        subject: to what: a row, or words where there is none.
        at: now.
        words: why, or what exactly.
        details: by field, the value before and after.
    """
    is_row = isinstance(subject, models.Model)
    return AuditEntry.objects.create(
        at=at,
        actor=getattr(by, "email", "") or "",
        source=AuditEntry.Source.CONSOLE,
        act=act,
        subject_type=subject._meta.label_lower if is_row else "",
        subject=str(subject)[:200],
        subject_key=str(subject.pk) if is_row else "",
        words=words,
        details=details or {},
    )
