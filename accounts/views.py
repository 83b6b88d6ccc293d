"""Accounts for apps: registering, tokens, preferences."""

from datetime import timedelta
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from allauth.account.signals import user_signed_up
from django.conf import settings
from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.generic import View
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import services, sign_in_log
from accounts.callers import caller
from accounts.models import ApiToken, User
from accounts.passwords import may_try
from accounts.repeats import IDEMPOTENCY_KEY, answer_once
from accounts.second_factor import check_code, has_authenticator, has_second_factor
from accounts.serializers import (
    IssuedTokenSerializer,
    LoginSerializer,
    NewTokenSerializer,
    PreferencesSerializer,
    RegistrationSerializer,
    SessionSerializer,
    TokenSerializer,
)
from accounts.service_accounts import Scope
from accounts.verification import (
    EmailUnverified,
    must_be_verified,
    refuse_unverified,
    tell_owner,
)


class RegisterView(APIView):
    """Create an account."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_scope = "accounts"

    @extend_schema(request=RegistrationSerializer, responses={201: SessionSerializer})
    def post(self, request: Request) -> Response:
        """Create a listener with a password and answer their id and a token."""
        serializer = RegistrationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            listener = services.register(**serializer.validated_data)
        except services.EmailTaken:
            if not must_be_verified():
                raise
            # The answer is that to a free address; that it has an account its owner alone is told.
            tell_owner(request._request, serializer.validated_data["email"])
            raise EmailUnverified from None
        address = EmailAddress.objects.get_primary(listener.user)
        send_verification_email_to_address(request._request, address, signup=True)
        # Whoever keeps what a visitor did moves it to the account now.
        user_signed_up.send(sender=User, request=request._request, user=listener.user)
        if must_be_verified():
            raise EmailUnverified
        token = services.issue_token(user=listener.user, name="registration", at=timezone.now())
        return Response({"user_id": listener.key, "token": token}, status=status.HTTP_201_CREATED)


class TokenView(APIView):
    """Log in and out with tokens."""

    throttle_scope = "accounts"

    def get_permissions(self) -> list:
        """Let anybody log in; log out only who is logged in."""
        return [AllowAny()] if self.request.method == "POST" else super().get_permissions()

    def get_authenticators(self) -> list:
        """Ignore a stale token in the way of a new login."""
        is_login = self.request is not None and self.request.method == "POST"
        return [] if is_login else super().get_authenticators()

    def get_authenticate_header(self, request: Request) -> str:
        """Make DRF answer a wrong password with 401 rather than 403."""
        return "Bearer"

    @extend_schema(request=LoginSerializer, responses={200: SessionSerializer})
    def post(self, request: Request) -> Response:
        """Answer a new token for an email, its password, and a code where one is set up."""
        serializer = LoginSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        email = serializer.validated_data["email"].lower()
        # Per account too, so that many addresses cannot try one password each.
        user = (
            authenticate(request, username=email, password=serializer.validated_data["password"])
            if may_try(email)
            else None
        )
        if user is None:
            raise AuthenticationFailed("The email or the password is wrong, or tried too often.")
        refuse_unverified(request._request, user, email)
        asked = has_authenticator(user)
        if asked and not check_code(user, serializer.validated_data.get("code", "")):
            sign_in_log.token_refused(user)
            raise AuthenticationFailed(
                "Send the `code` of your authenticator app, or a recovery code.",
                code="second_factor_required",
            )
        listener = services.listener_of(user)
        token = services.issue_token(
            user=user, name="login", at=timezone.now(), second_factor=asked
        )
        return Response({"user_id": listener.key, "token": token})

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request) -> Response:
        """Revoke the token that this request shows."""
        if isinstance(request.auth, ApiToken):
            request.auth.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class PreferencesView(APIView):
    """What a listener says they like."""

    visitors_may_call = True

    service_scope = Scope.WRITE

    @extend_schema(request=PreferencesSerializer, responses={200: PreferencesSerializer})
    def post(self, request: Request) -> Response:
        """Set genres, artists, energy and mood; what is left out stays as it is."""
        serializer = PreferencesSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        listener = caller(request, given.pop("user_id", None))
        preferences = services.set_preferences(listener=listener, **given)
        return Response(PreferencesSerializer(preferences).data)


class TokensView(APIView):
    """The tokens of apps that act for the caller."""

    @extend_schema(responses={200: TokenSerializer(many=True)})
    def get(self, request: Request) -> Response:
        """Answer one's own tokens that still work, the newest first; never their secrets."""
        tokens = ApiToken.objects.of(request.user).valid(at=timezone.now()).order_by("-created_at")
        return Response(TokenSerializer(tokens[: services.MAX_TOKENS], many=True).data)

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        request=NewTokenSerializer,
        responses={201: IssuedTokenSerializer},
    )
    def post(self, request: Request) -> Response:
        """Issue a token; its secret is in this answer and nowhere else."""
        serializer = NewTokenSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data

        def act() -> dict[str, Any]:
            issued = services.issue_named_token(
                user=request.user,
                name=given["name"],
                at=timezone.now(),
                lifetime=timedelta(days=given["days"]) if "days" in given else None,
                second_factor=has_second_factor(request),
            )
            return IssuedTokenSerializer(issued).data

        answer = answer_once(request, caller(request), act, keep=False)
        return Response(answer, status=status.HTTP_201_CREATED)


class TokenDetailView(APIView):
    """One token."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Revoke one of one's own tokens."""
        get_object_or_404(ApiToken.objects.of(request.user), pk=pk).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class LogoutView(View):
    """Ending the session of a browser; by POST alone, so that no link can do it."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """End it and go to the front page."""
        get_adapter(request).logout(request)
        return redirect(settings.LOGOUT_REDIRECT_URL)
