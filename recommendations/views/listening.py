"""Asking for recommendations and responding to them."""

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.callers import caller
from recommendations.models import Recommendation, Track
from recommendations.serializers import (
    AnswerSerializer,
    FeedbackSerializer,
    RecordedSerializer,
    WishesSerializer,
)
from recommendations.services import feedback as responses
from recommendations.services.recommend import recommend
from recommendations.tasks import nudge_on_commit


class RecommendView(APIView):
    """A personal list."""

    @extend_schema(request=WishesSerializer, responses={200: AnswerSerializer})
    def post(self, request: Request) -> Response:
        """Answer the tracks to play now, best first, each with its reason."""
        serializer = WishesSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        listener = caller(request, serializer.validated_data.get("user_id"))
        answer = recommend(listener=listener, wishes=serializer.to_wishes(), at=timezone.now())
        return Response(AnswerSerializer(answer).data)


class FeedbackView(APIView):
    """A response to a track."""

    @extend_schema(
        request=FeedbackSerializer, responses={201: RecordedSerializer, 200: RecordedSerializer}
    )
    def post(self, request: Request) -> Response:
        """Take a response; the next list already knows it."""
        serializer = FeedbackSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        listener = caller(request, given.pop("user_id", None))
        track = Track.objects.filter(track_id=given.pop("track_id")).first()
        if track is None:
            raise ValidationError({"track_id": "There is no such track."})
        slate_id = given.pop("recommendation_id", None)
        slate = (
            Recommendation.objects.of(listener).filter(pk=slate_id).first() if slate_id else None
        )
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
