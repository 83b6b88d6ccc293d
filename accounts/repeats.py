"""Requests that are sent again: known by the header `Idempotency-Key`, and done once."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from accounts.models import MAX_KEY, AnsweredRequest, Listener, ServiceAccount
from musicrec.exceptions import RuleViolation
from musicrec.renderers import JSONRenderer

KEPT = timedelta(days=1)
"""How long an answer is kept at least."""

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": r"^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="of the client's choice: a repeat with the same key is not done a second time",
)


class KeyReused(RuleViolation):
    """The key belongs to another request of this caller."""

    code = "idempotency_key_reused"


class AnsweredBefore(RuleViolation):
    """The request was carried out, and what it answered cannot be said again."""

    code = "answered_before"


def idempotency_key(request: Request, *, longest: int = MAX_KEY) -> str | None:
    """Return the header by which a repeated request is known again, or None.

    Raises:
        ValidationError: it is too long, or holds more than visible ASCII.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= longest or not all("!" <= sign <= "~" for sign in key):
        raise ValidationError(
            {"Idempotency-Key": f"This is 1 to {longest} visible characters of ASCII."}
        )
    return key


def answer_once(
    request: Request,
    caller: Listener | ServiceAccount,
    act: Callable[[], Any],
    *,
    keep: bool = True,
) -> Any:
    """Carry out a request once however often it is sent with its key, and return its answer.

    Without a key it is simply carried out.  A repeat gets the first one's answer; one that comes
    while the first is under way waits for it.  What is refused leaves no trace: its key is free.

    Args:
        request: as it came.
        caller: whose key it is, a `Listener` or a `ServiceAccount`; keys of two never meet.
        act: carries it out, and returns what JSON can say.
        keep: False for an answer with a secret; a repeat is then refused.

    Raises:
        KeyReused: the key came with another address or body.
        AnsweredBefore: it was carried out, and `keep` is False.
        ValidationError: the key is none.
    """
    key = idempotency_key(request)
    if key is None:
        return act()
    owner = {"service" if isinstance(caller, ServiceAccount) else "listener": caller}
    asked = _digest(request)
    with transaction.atomic():
        # A second one at the same time waits here, for the first one's row is not yet committed.
        row, is_new = AnsweredRequest.objects.get_or_create(
            **owner, key=key, defaults={"asked": asked, "answered_at": timezone.now()}
        )
        if is_new:
            answer = act()
            if keep:
                row.answer = zlib.compress(JSONRenderer().render(answer))
                row.save(update_fields=["answer"])
            return answer
    if bytes(row.asked) != asked:
        raise KeyReused(f"The key {key!r} was used for another request.")
    if row.answer is None:
        raise AnsweredBefore(
            f"The request with the key {key!r} was carried out at {row.answered_at.isoformat()}; "
            "its answer held a secret, and is not kept."
        )
    return json.loads(zlib.decompress(row.answer))


def _digest(request: Request) -> bytes:
    told = [request.method, request.get_full_path(), request.data]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()


def forget_answers(*, at: datetime) -> int:
    """Forget answers of more than `KEPT` ago, and return how many."""
    return AnsweredRequest.objects.filter(answered_at__lt=at - KEPT).delete()[0]
