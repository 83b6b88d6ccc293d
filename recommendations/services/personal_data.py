"""Everything about one person: to hand out to them, and to make go away."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.db.models import F, Func, Value
from django.db.models.functions import Cast, Concat

from accounts.models import AnsweredRequest, ApiToken, Listener, Preferences, User
from bandits.models import Decision
from experiments.models import Exposure, ListenerDay, ListenerTotal, SeenValue
from musicrec.exceptions import RuleViolation
from recommendations.models import (
    Feedback,
    Hidden,
    HistoryImport,
    PlayCount,
    Recommendation,
    Taste,
    Track,
)

CHUNK = 500


class StaffAccount(RuleViolation):
    """A member of staff does not erase themselves: what they did must stay attributable."""

    code = "staff_account"


@dataclass(frozen=True)
class Section:
    """One table's part of what is handed out.

    Attributes:
        name: of the section in the export.
        model: the table.
        path: lookup that leads from a row to the person, a `Listener` or a `User`.
        leave_out: columns that are secrets, or that repeat another section.
        add: lookups that say in words what a number stands for.
    """

    name: str
    model: type[models.Model]
    path: str
    leave_out: Sequence[str] = ()
    add: Sequence[str] = ()

    def rows(self, person: models.Model) -> Iterator[dict[str, Any]]:
        """Yield the person's rows, in the order they came."""
        fields = [f.attname for f in self.model._meta.concrete_fields]
        columns = [name for name in fields if name not in self.leave_out] + list(self.add)
        rows = self.model._default_manager.filter(**{self.path: person.pk}).order_by("pk")
        yield from rows.values(*columns).iterator(chunk_size=CHUNK)


OF_USERS = (
    Section("account", User, "pk", leave_out=("password",)),
    Section("email_addresses", EmailAddress, "user"),
    Section("second_factors", Authenticator, "user", leave_out=("data",)),
    Section("sessions", UserSession, "user", leave_out=("session_key",)),
    Section("tokens", ApiToken, "user", leave_out=("digest",)),
    Section("admin_log", LogEntry, "user"),
)
_TRACK = ("track__track_id", "track__name", "track__artist__name")
OF_LISTENERS = (
    Section("listener", Listener, "pk"),
    Section("preferences", Preferences, "listener"),
    Section("feedback", Feedback, "listener", add=(*_TRACK, "retraction__retracted_at")),
    Section("play_counts", PlayCount, "listener", add=_TRACK),
    Section("hidden", Hidden, "listener", add=(*_TRACK, "artist__name")),
    Section("taste", Taste, "listener"),
    Section("recommendations", Recommendation, "listener"),
    Section("answered_requests", AnsweredRequest, "listener", leave_out=("answer",)),
    Section("imports", HistoryImport, "listener", leave_out=("content",)),
    Section("bandit_decisions", Decision, "listener"),
    Section("experiments", Exposure, "listener", add=("variant__key", "phase__experiment__key")),
    Section("experiment_days", ListenerDay, "listener", add=("metric__key",)),
    Section("experiment_totals", ListenerTotal, "exposure__listener", add=("metric__key",)),
    Section("experiment_values", SeenValue, "exposure__listener", add=("metric__key",)),
)
NOT_EXPORTED = {
    "account.EmailConfirmation": "keys of links in mails; secrets, and none are kept",
    "accounts.User_groups": "rights of staff",
    "accounts.User_user_permissions": "rights of staff",
    "bandits.HistoricalArm": "what staff changed, about an arm",
    "bandits.HistoricalBandit": "what staff changed, about a bandit",
    "experiments.HistoricalAssignmentSettings": "what staff changed, about assignment",
    "experiments.HistoricalExperiment": "what staff changed, about an experiment",
    "experiments.HistoricalMetric": "what staff changed, about a metric",
    "experiments.HistoricalVariant": "what staff changed, about a variant",
    "recommendations.CatalogueUpload": "what staff uploaded, about tracks",
    "recommendations.HeatAllowance": "how many rows of the section feedback came in an hour",
    "recommendations.HeatShare": "which rows of the section feedback count in the trend",
    "recommendations.OutboxEvent": "that a response or a list has had its effects",
    "recommendations.Retraction": "part of the section feedback",
}
"""Models that refer to a person and are no section, each with the reason."""


def export(listener: Listener, *, at: datetime) -> Iterator[str]:
    """Yield a JSON object, piece by piece: a list of rows for each section; memory stays flat."""
    yield '{"exported_at": ' + json.dumps(at, cls=DjangoJSONEncoder)
    people: list[tuple[Section, models.Model | None]] = [
        *((section, listener.user) for section in OF_USERS),
        *((section, listener) for section in OF_LISTENERS),
    ]
    for section, person in people:
        yield f', "{section.name}": ['
        rows = section.rows(person) if person is not None else iter(())
        if section.model is Recommendation:
            rows = _with_track_ids(rows)
        separator = ""
        for row in rows:
            yield separator + json.dumps(row, cls=_Encoder)
            separator = ", "
        yield "]"
    yield "}"


class _Encoder(DjangoJSONEncoder):
    """JSON of what tables hold; bytes become base64."""

    def default(self, o: object) -> Any:
        if isinstance(o, (bytes, memoryview)):
            return base64.b64encode(o).decode("ascii")
        return super().default(o)


def _with_track_ids(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Name the tracks of lists by the ids that clients know."""
    while chunk := list(islice(rows, CHUNK)):
        wanted = {pk for row in chunk for pk in row["tracks"]}
        ids = dict(Track.objects.filter(pk__in=wanted).values_list("pk", "track_id"))
        for row in chunk:
            yield row | {"tracks": [ids.get(pk) for pk in row["tracks"]]}


@transaction.atomic
def erase(listener: Listener) -> None:
    """Make a person go away; who is gone already, as by a second request at once, stays gone.

    The account, what they stated, their taste, sessions, tokens and imports are deleted.  The
    ledger, responses, decisions and exposures stay for the statistics and belong to nobody; what
    of them could name the person is blanked.

    Raises:
        StaffAccount: the listener is a member of staff.
    """
    # Whatever a request or an import of theirs is doing comes to its end first.  The locks are
    # taken in the order of those who write many responses at once, so that nobody waits in a
    # circle; this first one lets through who holds the taste and refers to the listener.
    if Listener.objects.select_for_update(no_key=True).filter(pk=listener.pk).first() is None:
        return
    user = listener.user
    if user is not None and user.is_staff:
        raise StaffAccount("A member of staff is removed by another one, in the admin.")
    Taste.objects.select_for_update().filter(listener=listener).first()
    Listener.objects.select_for_update().get(pk=listener.pk)
    # A client chooses event ids, and may put anything into them and into the context.
    Feedback.objects.by(listener).update(
        listener=None, context={}, event_id=Concat(Value("erased-"), Cast(F("pk"), _TEXT))
    )
    Recommendation.objects.of(listener).update(listener=None, context=_SITUATION)
    if listener.service is not None:  # their list may be in an answer about many
        AnsweredRequest.objects.filter(service=listener.service).delete()
    if user is not None:
        keys = UserSession.objects.filter(user=user).values_list("session_key", flat=True)
        Session.objects.filter(session_key__in=list(keys)).delete()
        of_user = LogEntry.objects.filter(
            content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk)
        )
        of_user.update(object_repr="somebody erased", change_message="")
        user.delete()  # and with them the listener
    else:
        listener.delete()


_TEXT = models.CharField(max_length=64)
# Of what a request wished for, the ledger keeps mood, device and the like, not lists of names.
_SITUATION = Func(
    F("context"),
    template="(%(expressions)s - ARRAY['artists', 'exclude', 'genres'])",
    output_field=models.JSONField(),
)
