"""What the endpoints for services take and answer."""

from __future__ import annotations

import re
import uuid
import zoneinfo
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from django.utils.dateparse import parse_datetime
from rest_framework import serializers

from accounts.vocabulary import Device, Mood
from musicrec.fields import NumberField
from musicrec.parsers import BadLine
from recommendations.core.plays import EARLIEST
from recommendations.models import Feedback
from recommendations.models.catalogue import https_only
from recommendations.serializers import MAX_SKEW, AnswerSerializer, SituationSerializer
from recommendations.services.bulk_feedback import Outcome, Response

MAX_TRACKS = 1000
MAX_LISTENERS = 1000
MAX_BATCH = 1000


def _https(value: str) -> None:
    try:
        https_only(value)
    except ModelValidationError:
        raise serializers.ValidationError("This is no https address.") from None


def _unit() -> NumberField:
    return NumberField(min_value=0, max_value=1, required=False, allow_null=True)


class AudioInputSerializer(serializers.Serializer):
    """What a track sounds like, as far as it is known."""

    danceability = _unit()
    energy = _unit()
    valence = _unit()
    acousticness = _unit()
    liveness = _unit()
    speechiness = _unit()
    loudness_db = NumberField(min_value=-200, max_value=50, required=False, allow_null=True)
    tempo_bpm = NumberField(min_value=0, max_value=1000, required=False, allow_null=True)


class TrackFactsSerializer(serializers.Serializer):
    """All that a catalogue tells of a track, but for its id."""

    track_name = serializers.CharField(max_length=500)
    artist = serializers.CharField(max_length=500)
    album = serializers.CharField(max_length=500, required=False, allow_blank=True)
    genres = serializers.ListField(
        child=serializers.CharField(max_length=50), max_length=50, required=False
    )
    year = serializers.IntegerField(min_value=1000, max_value=9999, required=False, allow_null=True)
    duration_ms = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, allow_null=True
    )
    popularity = serializers.IntegerField(
        min_value=0, max_value=100, required=False, allow_null=True
    )
    audio = AudioInputSerializer(required=False, allow_null=True)
    isrc = serializers.CharField(max_length=12, required=False, allow_blank=True)
    spotify_id = serializers.CharField(max_length=22, required=False, allow_blank=True)
    musicbrainz_id = serializers.UUIDField(required=False, allow_null=True)
    cover_url = serializers.CharField(
        max_length=1000, required=False, allow_blank=True, validators=[_https]
    )
    preview_url = serializers.CharField(
        max_length=1000, required=False, allow_blank=True, validators=[_https]
    )


class TrackInputSerializer(TrackFactsSerializer):
    """A track under the id that its source gives it."""

    track_id = serializers.RegexField(
        r"^[^/\x00-\x1f]+\Z",
        max_length=128,
        help_text="without a slash, for it stands in addresses",
    )


class UpsertedSerializer(serializers.Serializer):
    """What was done."""

    created = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()


class ListenerFactsSerializer(serializers.Serializer):
    """What a service tells of its listener; what is left out stays."""

    country = serializers.RegexField(
        r"^(?:[A-Z]{2})?\Z",
        max_length=2,
        required=False,
        allow_blank=True,
        help_text="ISO 3166-1 alpha-2",
    )
    time_zone = serializers.CharField(
        max_length=64, required=False, allow_blank=True, help_text="IANA name"
    )
    genres = serializers.ListField(
        child=serializers.CharField(max_length=50), max_length=50, required=False
    )
    artists = serializers.ListField(
        child=serializers.CharField(max_length=500), max_length=100, required=False
    )
    energy = NumberField(min_value=0, max_value=1, required=False, allow_null=True)
    mood = serializers.ChoiceField(choices=Mood.choices, required=False, allow_blank=True)

    def validate_time_zone(self, name: str) -> str:
        """Refuse what is no time zone."""
        if name and name not in zoneinfo.available_timezones():
            raise serializers.ValidationError("This is no IANA time zone.")
        return name

    def validate_genres(self, genres: list[str]) -> list[str]:
        """Fold to lower case, as genres are kept, each once."""
        return list(dict.fromkeys(genre.lower() for genre in genres))


class ListenerInputSerializer(ListenerFactsSerializer):
    """A listener under the service's own id."""

    # A slash at its end is more likely that of an address than of an id.
    user_id = serializers.RegexField(r"^[^\x00-\x1f]*[^/\x00-\x1f]\Z", max_length=128)


class UpsertedListenersSerializer(serializers.Serializer):
    """What was done."""

    created = serializers.IntegerField()
    updated = serializers.IntegerField()


class ListenerPreferencesSerializer(serializers.Serializer):
    """What a listener says they like."""

    genres = serializers.ListField(child=serializers.CharField())
    artists = serializers.ListField(child=serializers.CharField())
    energy = serializers.FloatField(allow_null=True)
    mood = serializers.CharField(allow_blank=True)


class ServiceListenerSerializer(serializers.Serializer):
    """A service's listener."""

    user_id = serializers.CharField()
    country = serializers.CharField(allow_blank=True)
    time_zone = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    preferences = ListenerPreferencesSerializer(allow_null=True)
    n_feedback = serializers.IntegerField()
    mean_preference = serializers.FloatField(allow_null=True)


class BatchSerializer(SituationSerializer):
    """A request for the lists of many listeners."""

    user_id = None
    user_ids = serializers.ListField(
        child=serializers.CharField(max_length=128), min_length=1, max_length=MAX_BATCH
    )
    n_recommendations = serializers.IntegerField(min_value=1, max_value=100, default=10)


class BatchAnswerSerializer(AnswerSerializer):
    """A list, and whose it is."""

    user_id = serializers.CharField()


class BatchedSerializer(serializers.Serializer):
    """The lists of many listeners."""

    results = BatchAnswerSerializer(many=True, help_text="in the order of `user_ids`")
    unknown = serializers.ListField(
        child=serializers.CharField(), help_text="ids that are none of the service's listeners"
    )


class OutcomeSerializer(serializers.Serializer):
    """What became of a row."""

    index = serializers.IntegerField()
    status = serializers.ChoiceField(choices=["recorded", "duplicate", "replaced", "refused"])
    event_id = serializers.CharField(required=False)
    code = serializers.CharField(required=False)
    detail = serializers.CharField(required=False)


class BulkRecordedSerializer(serializers.Serializer):
    """What became of the rows."""

    recorded = serializers.IntegerField(help_text="new, replacing ones included")
    duplicates = serializers.IntegerField()
    refused = serializers.IntegerField()
    results = OutcomeSerializer(many=True, help_text="a result per row, in their order")


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as `OutcomeSerializer` describes it."""
    told = {"index": outcome.place, "status": outcome.status}
    more = {"event_id": outcome.event_id, "code": outcome.code, "detail": outcome.detail}
    return told | {name: value for name, value in more.items() if value is not None}


class BadResponse(ValueError):
    """A row that makes no sense; the message names the field."""


_KINDS = frozenset(Feedback.Kind.values)
_CONTEXT = {"mood": frozenset(Mood.values), "device_type": frozenset(Device.values)}
_ZONED = re.compile(r"(?:Z|[+-]\d\d:?\d\d)\Z")


def check_responses(
    rows: list[Any], *, now: datetime, key: str | None = None
) -> tuple[list[Response], list[Outcome]]:
    """Return the rows that make sense, and outcomes for those that do not.

    The rules are those of `FeedbackSerializer`, in plain code: field by field, ten thousand rows
    would take as long as all the rest together.

    Args:
        rows: as parsed; anything may stand there.
        now: the time that none may lie after.
        key: the request's Idempotency-Key; names the rows that have no event id.
    """
    good, bad = [], []
    for place, row in enumerate(rows):
        try:
            good.append(_check(place, row, now, key))
        except BadResponse as error:
            bad.append(Outcome(place, "refused", None, "invalid", str(error)))
    return good, bad


def _check(place: int, row: Any, now: datetime, key: str | None) -> Response:
    if isinstance(row, BadLine):
        raise BadResponse(row.reason)
    if not isinstance(row, Mapping):
        raise BadResponse("This is no object.")
    event_id = _text(row, "event_id", 64)
    if event_id is None and key is not None:
        event_id = f"{key}:{place}"
    kind, rating, completion = row.get("kind"), row.get("rating"), row.get("completion")
    if kind is None and rating is not None:
        kind = "rating"
    if not isinstance(kind, str) or kind not in _KINDS:
        raise BadResponse("kind: Give a rating from 1 to 5, or a kind.")
    if (kind == "rating") != (rating is not None):
        raise BadResponse("rating: A rating needs its number, and nothing else has one.")
    if rating is not None and (type(rating) is not int or not 1 <= rating <= 5):
        raise BadResponse("rating: This is no whole number from 1 to 5.")
    if completion is not None:
        if kind not in ("play", "skip"):
            raise BadResponse(f"completion: A {kind} has no completion.")
        if type(completion) not in (int, float) or not 0 <= completion <= 1:
            raise BadResponse("completion: This is no number from 0 to 1.")
    return Response(
        place=place,
        user_id=_needed(row, "user_id"),
        track_id=_needed(row, "track_id"),
        kind=kind,
        rating=rating,
        completion=completion,
        recommendation_id=_uuid(row),
        context=_context(row),
        event_id=event_id,
        occurred_at=_moment(row, now),
    )


def _text(row: Mapping[str, Any], name: str, longest: int) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise BadResponse(f"{name}: This is no text of 1 to {longest} characters.")
    return value.strip()


def _needed(row: Mapping[str, Any], name: str) -> str:
    value = _text(row, name, 128)
    if value is None:
        raise BadResponse(f"{name}: This is needed.")
    return value


def _uuid(row: Mapping[str, Any]) -> uuid.UUID | None:
    value = row.get("recommendation_id")
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return uuid.UUID(value)
    except ValueError:
        pass
    raise BadResponse("recommendation_id: This is no UUID.")


def _context(row: Mapping[str, Any]) -> dict[str, str]:
    value = row.get("context")
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadResponse("context: This is no object.")
    found = {}
    for name, choices in _CONTEXT.items():
        if name in value:
            if not isinstance(value[name], str) or value[name] not in choices:
                raise BadResponse(f"context.{name}: This is none of the choices.")
            found[name] = value[name]
    return found


def _moment(row: Mapping[str, Any], now: datetime) -> datetime | None:
    value = row.get("occurred_at")
    if value is None:
        return None
    try:
        moment = parse_datetime(value) if isinstance(value, str) and len(value) <= 40 else None
        if moment is not None and _ZONED.search(value):
            if moment > now + MAX_SKEW:
                raise BadResponse("occurred_at: This lies in the future.")
            if moment < EARLIEST:
                raise BadResponse(f"occurred_at: This lies before {EARLIEST.year}.")
            return moment.astimezone(now.tzinfo)
    except (ValueError, OverflowError) as error:
        if isinstance(error, BadResponse):
            raise
    raise BadResponse("occurred_at: This is no ISO 8601 time with a zone.")
