"""What services do with tracks and listeners of their own."""

from typing import Any

from django.http import Http404, StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.callers import caller
from accounts.models import Listener
from accounts.permissions import ServicesOnly
from accounts.repeats import IDEMPOTENCY_KEY, answer_once, idempotency_key
from accounts.service_accounts import Scope
from musicrec.parsers import MAX_BULK_BYTES, BulkJSONLinesParser, BulkJSONParser, TakesBulk
from recommendations.models import Taste
from recommendations.serializers import answer_data
from recommendations.serializers_services import (
    BatchedSerializer,
    BatchSerializer,
    BulkRecordedSerializer,
    ListenerFactsSerializer,
    ListenerInputSerializer,
    ServiceListenerSerializer,
    UpsertedListenersSerializer,
    check_responses,
    outcome_data,
)
from recommendations.services import personal_data
from recommendations.services.batch import recommend_many
from recommendations.services.bulk_feedback import MAX_ROWS, record_many
from recommendations.services.exports import EXPORTS, as_csv, as_json_lines
from recommendations.services.upserts import upsert_listeners
from recommendations.tasks import nudge_on_commit

MAX_LISTENERS = 1000


def listed(request: Request, what: str, longest: int) -> list[Any]:
    """Return a body that is a list.

    Raises:
        ValidationError: it is none, or too long.
    """
    rows = request.data
    if not isinstance(rows, list) or not rows:
        raise ValidationError(f"The body is a list of {what}.")
    if len(rows) > longest:
        raise ValidationError(f"There are {len(rows)} {what}, {longest} are allowed.")
    return rows


class BulkFeedbackView(TakesBulk, APIView):
    """Many responses at once."""

    permission_classes = (ServicesOnly,)
    service_scope = Scope.WRITE
    parser_classes = (BulkJSONParser, BulkJSONLinesParser)

    @extend_schema(
        parameters=[
            IDEMPOTENCY_KEY,
            OpenApiParameter("mode", str, enum=["accumulate", "overwrite"], default="accumulate"),
        ],
        request={
            "application/json": {"type": "array", "items": {"type": "object"}, "maxItems": 10_000},
            "application/x-ndjson": {"type": "string", "maxLength": MAX_BULK_BYTES},
        },
        responses={200: BulkRecordedSerializer},
    )
    def post(self, request: Request) -> Response:
        """Take up to 10,000 responses, each row for itself; a repeated event id counts once."""
        mode = request.query_params.get("mode", "accumulate")
        if mode not in ("accumulate", "overwrite"):
            raise ValidationError({"mode": "This is accumulate or overwrite."})
        now = timezone.now()
        key = idempotency_key(request, longest=58)  # leaves room for the row's number
        rows = listed(request, "responses", MAX_ROWS)
        good, bad = check_responses(rows, now=now, key=key)
        taken = record_many(
            good, service=request.user.service, at=now, overwrite=mode == "overwrite"
        )
        outcomes = sorted([*taken, *bad], key=lambda outcome: outcome.place)
        counts = {
            name: sum(outcome.status in kinds for outcome in outcomes)
            for name, kinds in (
                ("recorded", ("recorded", "replaced")),
                ("duplicates", ("duplicate",)),
                ("refused", ("refused",)),
            )
        }
        if counts["recorded"]:
            nudge_on_commit()
        return Response(counts | {"results": [outcome_data(outcome) for outcome in outcomes]})


class ListenersView(TakesBulk, APIView):
    """A service's listeners."""

    permission_classes = (ServicesOnly,)
    service_scope = Scope.WRITE
    parser_classes = (BulkJSONParser,)

    @extend_schema(
        operation_id="listeners_upsert",
        request=ListenerInputSerializer(many=True),
        responses={200: UpsertedListenersSerializer},
    )
    def put(self, request: Request) -> Response:
        """Create up to 1,000 listeners, or change what is given of them; all or none."""
        rows = listed(request, "listeners", MAX_LISTENERS)
        serializer = ListenerInputSerializer(data=rows, many=True)
        serializer.is_valid(raise_exception=True)
        created, updated = upsert_listeners(serializer.validated_data, service=request.user.service)
        return Response({"created": created, "updated": updated})


class ListenerView(APIView):
    """One of a service's listeners."""

    permission_classes = (ServicesOnly,)
    service_scopes = {"GET": Scope.READ, "PUT": Scope.WRITE, "DELETE": Scope.WRITE}

    @extend_schema(responses={200: ServiceListenerSerializer})
    def get(self, request: Request, user_id: str) -> Response:
        """Answer what is known of a listener."""
        return Response(_listener_data(caller(request, user_id)))

    @extend_schema(
        operation_id="listener_upsert",
        request=ListenerFactsSerializer,
        responses={200: ServiceListenerSerializer},
    )
    def put(self, request: Request, user_id: str) -> Response:
        """Create a listener, or change what is given; what is left out stays."""
        serializer = ListenerFactsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        _check_user_id(user_id)
        upsert_listeners(
            [{**serializer.validated_data, "user_id": user_id}], service=request.user.service
        )
        return Response(_listener_data(caller(request, user_id)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, user_id: str) -> Response:
        """Erase a listener: nothing personal stays, and what they were shown is nobody's."""
        personal_data.erase(caller(request, user_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class BatchView(APIView):
    """The lists of many listeners."""

    permission_classes = (ServicesOnly,)
    service_scope = Scope.RECOMMEND

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY], request=BatchSerializer, responses={200: BatchedSerializer}
    )
    def post(self, request: Request) -> Response:
        """Answer a list for each of up to 1,000 listeners, for mails and home pages."""
        serializer = BatchSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        names = list(dict.fromkeys(given["user_ids"]))
        service = request.user.service
        own = Listener.objects.of_service(service).select_related("preferences")
        found = {row.external_id: row for row in own.filter(external_id__in=names)}
        listeners = [found[name] for name in names if name in found]

        def act() -> dict[str, Any]:
            answers = recommend_many(
                listeners=listeners,
                wishes=serializer.to_wishes(n=given["n_recommendations"]),
                at=timezone.now(),
            )
            return {
                "results": [
                    {"user_id": listener.external_id, **answer_data(answer)}
                    for listener, answer in zip(listeners, answers, strict=True)
                ],
                "unknown": [name for name in names if name not in found],
            }

        return Response(answer_once(request, service, act))


class ExportView(APIView):
    """A service's own data."""

    permission_classes = (ServicesOnly,)
    service_scope = Scope.READ

    @extend_schema(
        operation_id="export",
        parameters=[
            OpenApiParameter("what", str, OpenApiParameter.PATH, enum=list(EXPORTS)),
            OpenApiParameter("as", str, enum=["jsonl", "csv"], default="jsonl"),
        ],
        responses={
            (200, "application/x-ndjson"): OpenApiTypes.STR,
            (200, "text/csv"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request, what: str) -> StreamingHttpResponse:
        """Stream tracks, the service's listeners or their feedback, as JSON Lines or as CSV."""
        if what not in EXPORTS:
            raise Http404("There is no such export.")
        form = request.query_params.get("as", "jsonl")
        if form not in ("jsonl", "csv"):
            raise ValidationError({"as": "This is jsonl or csv."})
        rows = EXPORTS[what](request.user.service)
        kind = "text/csv; charset=utf-8" if form == "csv" else "application/x-ndjson"
        return StreamingHttpResponse(
            as_csv(rows) if form == "csv" else as_json_lines(rows),
            content_type=kind,
            headers={"Content-Disposition": f'attachment; filename="{what}.{form}"'},
        )


def _check_user_id(user_id: str) -> None:
    field = ListenerInputSerializer().fields["user_id"]
    try:
        field.run_validation(user_id)
    except serializers.ValidationError as error:
        raise ValidationError({"user_id": error.detail}) from error


def _listener_data(listener: Listener) -> dict[str, Any]:
    preferences = getattr(listener, "preferences", None)
    taste = Taste.objects.filter(listener=listener).only("n_feedback", "preference_sum").first()
    n = taste.n_feedback if taste else 0
    told = {
        "user_id": listener.key,
        "country": listener.country,
        "time_zone": listener.time_zone,
        "created_at": listener.created_at,
        "preferences": preferences,
        "n_feedback": n,
        "mean_preference": min(1.0, taste.preference_sum / n) if taste and n else None,
    }
    return ServiceListenerSerializer(told).data
