"""What concerns the listener who is logged in: who they are, what they did, what they hide."""

import hashlib
from datetime import timedelta

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth import logout
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, When
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.callers import caller
from accounts.models import Listener
from accounts.passwords import is_password_of
from accounts.services import update_profile
from musicrec.paging import Pages
from recommendations.models import Artist, Feedback, Hidden, Track
from recommendations.reports.listening import statistics_report, taste_report
from recommendations.serializers_me import (
    HiddenSerializer,
    HideSerializer,
    HistoryQuerySerializer,
    LibraryQuerySerializer,
    LibraryRowSerializer,
    MeSerializer,
    PasswordSerializer,
    PeriodSerializer,
    ProfileSerializer,
    ResponseSerializer,
    StateSerializer,
    StatisticsSerializer,
    TasteSerializer,
)
from recommendations.services import hiding, personal_data, undo
from recommendations.serving import state
from recommendations.tasks import nudge_on_commit


class MeView(APIView):
    """The listener's own account."""

    @extend_schema(responses={200: MeSerializer})
    def get(self, request: Request) -> Response:
        """Answer who is logged in."""
        return Response(MeSerializer(_me(caller(request))).data)

    @extend_schema(request=ProfileSerializer, responses={200: MeSerializer})
    def patch(self, request: Request) -> Response:
        """Change country, time zone, music service, or whether the first questions are done."""
        serializer = ProfileSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        listener = caller(request)
        update_profile(listener=listener, **serializer.validated_data)
        return Response(MeSerializer(_me(listener)).data)

    @extend_schema(request=PasswordSerializer, responses={204: None})
    def delete(self, request: Request) -> Response:
        """Erase the account and everything personal; the password has to be said again.

        What was recommended and answered stays for the statistics, without the person.
        """
        serializer = PasswordSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        listener = caller(request)
        if not is_password_of(request.user, serializer.validated_data["password"]):
            raise ValidationError({"password": "The password is wrong, or was tried too often."})
        personal_data.erase(listener)
        logout(request._request)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _me(listener: Listener) -> Listener:
    user = OuterRef("user")
    return (
        Listener.objects.select_related("user", "preferences", "taste")
        .annotate(
            email_verified=Exists(
                EmailAddress.objects.filter(user=user, verified=True, primary=True)
            ),
            mfa_enabled=Exists(Authenticator.objects.filter(user=user, type="totp")),
        )
        .defer("taste__history", "taste__vector", "taste__hidden")
        .get(pk=listener.pk)
    )


class StateView(APIView):
    """Whether anything of the listener changed."""

    @extend_schema(responses={200: StateSerializer, 304: None})
    def get(self, request: Request) -> Response:
        """Answer a version that changes with responses, preferences and hidden tracks.

        Also as an ETag: with If-None-Match, the answer is 304 while nothing changed.
        """
        # The first list makes a taste of nothing: that is no news to who is being shown that list.
        nothing = Q(taste__history=b"", taste__hidden={"tracks": {}, "artists": {}})
        marks = Listener.objects.filter(pk=caller(request).pk).values_list(
            Case(When(nothing, then=None), default="taste__updated_at"), "preferences__updated_at"
        )
        version = hashlib.sha256(repr(marks.get()).encode()).hexdigest()[:16]
        headers = {"ETag": f'"{version}"', "Cache-Control": "private, no-cache"}
        if f'"{version}"' in request.headers.get("if-none-match", ""):
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers=headers)
        return Response({"version": version}, headers=headers)


class HistoryView(generics.ListAPIView):
    """What the listener did."""

    serializer_class = ResponseSerializer
    pagination_class = Pages
    ordering = ("-occurred_at", "-pk")

    def get_queryset(self) -> QuerySet[Feedback]:
        """Return the listener's own responses, as filtered."""
        if getattr(self, "swagger_fake_view", False):
            return Feedback.objects.none()
        query = HistoryQuerySerializer(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        return (
            Feedback.objects.by(caller(self.request)).matching(**query.validated_data).with_track()
        )

    @extend_schema(parameters=[HistoryQuerySerializer])
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Answer a page of responses, the newest first; what was taken back is marked."""
        return super().get(request, *args, **kwargs)


class FeedbackDetailView(APIView):
    """One response."""

    @extend_schema(
        parameters=[OpenApiParameter("event_id", str, OpenApiParameter.PATH)],
        responses={204: None},
    )
    def delete(self, request: Request, event_id: str) -> Response:
        """Take one's own response back, with all that it did; the second time changes nothing."""
        listener = caller(request)
        feedback = get_object_or_404(Feedback.objects.by(listener), event_id=event_id)
        feedback.listener = listener  # with preferences, as loaded
        if undo.retract(feedback, at=timezone.now()):
            nudge_on_commit()
        return Response(status=status.HTTP_204_NO_CONTENT)


class HiddenListView(generics.ListAPIView):
    """What the listener hides."""

    serializer_class = HiddenSerializer
    pagination_class = Pages
    ordering = ("-created_at", "-pk")

    def get_queryset(self) -> QuerySet[Hidden]:
        """Return what is hidden from the listener now."""
        if getattr(self, "swagger_fake_view", False):
            return Hidden.objects.none()
        hidden = Hidden.objects.by(caller(self.request))
        return hidden.in_force(at=timezone.now()).with_subject()

    @extend_schema(request=HideSerializer, responses={201: HiddenSerializer})
    def post(self, request: Request) -> Response:
        """Hide a track or an artist; hidden again, the last word on how long counts."""
        serializer = HideSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        track = artist = None
        if "track_id" in given:
            track = get_object_or_404(Track, track_id=given["track_id"])
        else:
            artist = get_object_or_404(Artist, pk=given["artist_id"])
        now = timezone.now()
        days = given.get("days")
        hidden = hiding.hide(
            listener=caller(request),
            track=track,
            artist=artist,
            until=now + timedelta(days=days) if days else None,
            at=now,
        )
        return Response(HiddenSerializer(hidden).data, status=status.HTTP_201_CREATED)


class HiddenDetailView(APIView):
    """One hidden track or artist."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Show it again; where responses hid it, they are taken back."""
        listener = caller(request)
        hidden = get_object_or_404(Hidden.objects.by(listener), pk=pk)
        hidden.listener = listener
        if undo.show_again(hidden, at=timezone.now()):
            nudge_on_commit()
        return Response(status=status.HTTP_204_NO_CONTENT)


class TasteView(APIView):
    """What the listener likes."""

    @extend_schema(responses={200: TasteSerializer})
    def get(self, request: Request) -> Response:
        """Answer genres, artists and audio features of what the listener likes, and the past's."""
        content = state.current().catalogue.content
        return Response(TasteSerializer(taste_report(caller(request), content)).data)


class StatisticsView(APIView):
    """What the listener listened to."""

    @extend_schema(parameters=[PeriodSerializer], responses={200: StatisticsSerializer})
    def get(self, request: Request) -> Response:
        """Answer what was heard when, and how the recommendations did."""
        query = PeriodSerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        report = statistics_report(
            caller(request), period=query.validated_data["period"], at=timezone.now()
        )
        return Response(StatisticsSerializer(report).data)


class LibraryView(generics.ListAPIView):
    """What the listener keeps."""

    serializer_class = LibraryRowSerializer
    pagination_class = Pages

    @property
    def ordering(self) -> tuple[str, ...]:
        """The newest first."""
        moment = "-created_at" if self.state == "hidden" else "-occurred_at"
        return (moment, "-pk")

    def get_serializer_context(self) -> dict[str, object]:
        """Tell the serializer which part of the library it is."""
        return {**super().get_serializer_context(), "state": getattr(self, "state", "saved")}

    def get_queryset(self) -> QuerySet[Feedback] | QuerySet[Hidden]:
        """Return that part of the library."""
        if getattr(self, "swagger_fake_view", False):
            return Feedback.objects.none()
        query = LibraryQuerySerializer(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        self.state = query.validated_data["state"]
        listener = caller(self.request)
        if self.state == "hidden":
            return Hidden.objects.by(listener).in_force(at=timezone.now()).with_subject()
        return Feedback.objects.by(listener).library(self.state).with_track()

    @extend_schema(parameters=[LibraryQuerySerializer])
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Answer a page of tracks that are saved, liked, rated or hidden, the newest first."""
        return super().get(request, *args, **kwargs)
