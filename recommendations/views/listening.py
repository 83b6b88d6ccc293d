"""Asking for recommendations and responding to them."""

from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.callers import caller
from accounts.repeats import IDEMPOTENCY_KEY, answer_once, idempotency_key
from accounts.service_accounts import Scope
from musicrec.prepared import Parameter, PreparedRow
from recommendations.models import Recommendation
from recommendations.serializers import (
    AnswerSerializer,
    FeedbackSerializer,
    RecordedSerializer,
    RowsSerializer,
    RowWishesSerializer,
    WishesSerializer,
    answer_data,
)
from recommendations.services import feedback as responses
from recommendations.services.recommend import recommend
from recommendations.services.rows import recommend_rows
from recommendations.services.taste import TOKEN_READ, read_along
from recommendations.services.visitors import state_what_is_named
from recommendations.tasks import nudge_on_commit


class RecommendView(APIView):
    """A personal list."""

    visitors_may_call = True
    service_scope = Scope.RECOMMEND
    token_read = TOKEN_READ

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY], request=WishesSerializer, responses={200: AnswerSerializer}
    )
    def post(self, request: Request) -> Response:
        """Answer the tracks to play now, best first, each with its reason."""
        serializer = WishesSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        strategy = serializer.validated_data.get("strategy")
        if strategy and not request.user.is_staff:
            raise PermissionDenied("Only staff may name a strategy.")
        listener = caller(request, serializer.validated_data.get("user_id"))
        if listener.is_visitor:
            state_what_is_named(listener, serializer.validated_data)

        def act() -> dict[str, Any]:
            return answer_data(
                recommend(
                    listener=listener,
                    wishes=serializer.to_wishes(),
                    at=timezone.now(),
                    strategy=strategy,
                    known=read_along(request.auth, listener),
                )
            )

        return Response(answer_once(request, listener, act))


class RecommendRowsView(APIView):
    """Rows of lists for a listener's first screen."""

    service_scope = Scope.RECOMMEND
    token_read = TOKEN_READ

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY], request=RowWishesSerializer, responses={200: RowsSerializer}
    )
    def post(self, request: Request) -> Response:
        """Answer the list for now and further rows, each with a title that says why."""
        serializer = RowWishesSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        listener = caller(request, serializer.validated_data.get("user_id"))
        wishes = serializer.to_wishes(n=serializer.validated_data["n_per_row"])

        def act() -> dict[str, Any]:
            rows = recommend_rows(
                listener=listener,
                wishes=wishes,
                at=timezone.now(),
                known=read_along(request.auth, listener),
            )
            return {
                "rows": [
                    {
                        "key": row.key,
                        "title": row.title,
                        "why": row.why,
                        "slate": answer_data(row.answer),
                    }
                    for row in rows
                ]
            }

        return Response(answer_once(request, listener, act))


_OWN_SLATE = PreparedRow(
    lambda: Recommendation.objects.filter(
        listener_id=Parameter("listener")(), pk=Parameter("slate")()
    ).only("tracks", "strategy", "propensity")
)


class FeedbackView(APIView):
    """A response to a track."""

    visitors_may_call = True
    service_scope = Scope.WRITE

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        request=FeedbackSerializer,
        responses={201: RecordedSerializer, 200: RecordedSerializer},
    )
    def post(self, request: Request) -> Response:
        """Take a response; the next list already knows it."""
        serializer = FeedbackSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        listener = caller(request, given.pop("user_id", None), create=True)
        given.setdefault("event_id", idempotency_key(request))
        track = responses.track_named(given.pop("track_id"))
        if track is None:
            raise ValidationError({"track_id": "There is no such track."})
        slate_id = given.pop("recommendation_id", None)
        slate = _OWN_SLATE.get(listener=listener.pk, slate=slate_id) if slate_id else None
        if slate_id is not None and slate is None:
            raise Http404("You have no such recommendation.")
        row, is_new = responses.record_feedback(
            listener=listener, track=track, recommendation=slate, at=timezone.now(), **given
        )
        if is_new:
            nudge_on_commit()
        recorded = {
            "event_id": row.event_id,
            "kind": row.kind,
            "preference": row.preference,
            "duplicate": not is_new,
        }
        return Response(recorded, status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)
