"""Account pages for browsers; the forms and the steps are django-allauth's."""

from typing import Any

from allauth.account.views import LoginView, SignupView
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.generic import View

from accounts import services
from accounts.forms import LoginForm, PreferencesForm, RegistrationForm


class LoginPage(LoginView):
    """The page to log in on."""

    template_name = "accounts/login.html"
    form_class = LoginForm


class AdminLoginPage(LoginPage):
    """The same page under the admin's address, so that there is one way to log in."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Refuse who is logged in and sent here because they are not staff."""
        if request.user.is_authenticated and not request.user.is_staff:
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)


class RegistrationPage(SignupView):
    """The page to sign up on."""

    template_name = "accounts/register.html"
    form_class = RegistrationForm


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
