"""Accounts: registering, logging in, preferences; for apps and for browsers."""

from django.contrib.auth import authenticate, login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.generic import FormView, View
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import services
from accounts.callers import caller
from accounts.forms import LoginForm, PreferencesForm, RegistrationForm
from accounts.models import ApiToken
from accounts.serializers import (
    CredentialsSerializer,
    PreferencesSerializer,
    RegistrationSerializer,
    SessionSerializer,
)
from musicrec.limits import counts


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
        listener = services.register(**serializer.validated_data)
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

    @extend_schema(request=CredentialsSerializer, responses={200: SessionSerializer})
    def post(self, request: Request) -> Response:
        """Answer a new token for an email and its password."""
        serializer = CredentialsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        email = serializer.validated_data["email"].lower()
        # Per account too, so that many addresses cannot try one password each.
        user = (
            authenticate(request, username=email, password=serializer.validated_data["password"])
            if counts().add(f"login:{email}", limit=10)
            else None
        )
        if user is None:
            raise AuthenticationFailed("The email or the password is wrong, or tried too often.")
        listener = services.listener_of(user)
        token = services.issue_token(user=user, name="login", at=timezone.now())
        return Response({"user_id": listener.key, "token": token})

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request) -> Response:
        """Revoke the token that this request shows."""
        if isinstance(request.auth, ApiToken):
            request.auth.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class PreferencesView(APIView):
    """What a listener says they like."""

    @extend_schema(request=PreferencesSerializer, responses={200: PreferencesSerializer})
    def post(self, request: Request) -> Response:
        """Set genres, artists, energy and mood; what is left out stays as it is."""
        serializer = PreferencesSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        listener = caller(request, given.pop("user_id", None))
        preferences = services.set_preferences(listener=listener, **given)
        return Response(PreferencesSerializer(preferences).data)


class AccountLoginView(LoginView):
    """The page to log in on."""

    template_name = "accounts/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True


class RegistrationPage(FormView):
    """The page to sign up on."""

    template_name = "accounts/register.html"
    form_class = RegistrationForm

    def form_valid(self, form: RegistrationForm) -> HttpResponse:
        """Create the account and log in."""
        try:
            listener = services.register(**form.cleaned_data)
        except services.EmailTaken as error:
            form.add_error("email", str(error))
            return self.form_invalid(form)
        login(self.request, listener.user)
        return redirect("account")


@method_decorator(login_required, name="dispatch")
class AccountPage(View):
    """The page of one's own account."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show it."""
        listener = services.listener_of(request.user)
        return self._render(request, PreferencesForm.of(listener))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Set the preferences."""
        form = PreferencesForm(request.POST)
        if not form.is_valid():
            return self._render(request, form)
        listener = services.listener_of(request.user)
        services.set_preferences(listener=listener, **form.cleaned_data)
        return redirect("account")

    def _render(self, request: HttpRequest, form: PreferencesForm) -> HttpResponse:
        status_code = 400 if form.errors else 200
        return render(request, "accounts/account.html", {"form": form}, status=status_code)
