"""Addresses of accounts; those named ``account_...`` are where django-allauth looks for them."""

from allauth.account import views as allauth
from django.urls import include, path, re_path

from accounts import pages, views

urlpatterns = [
    path("auth/register", views.RegisterView.as_view(), name="api-register"),
    path("auth/token", views.TokenView.as_view(), name="api-token"),
    path("preferences/set", views.PreferencesView.as_view(), name="api-preferences"),
    path("me/tokens", views.TokensView.as_view(), name="api-tokens"),
    path("me/tokens/<int:pk>", views.TokenDetailView.as_view(), name="api-token-detail"),
    path("account/", pages.AccountPage.as_view(), name="account"),
    path("account/login", pages.LoginPage.as_view(), name="login"),
    path("account/login", pages.LoginPage.as_view(), name="account_login"),
    path("account/logout", views.LogoutView.as_view(), name="logout"),
    path("account/logout", views.LogoutView.as_view(), name="account_logout"),
    path("account/register", pages.RegistrationPage.as_view(), name="register"),
    path("account/register", pages.RegistrationPage.as_view(), name="account_signup"),
    path("account/inactive", allauth.account_inactive, name="account_inactive"),
    path("account/confirm", allauth.reauthenticate, name="account_reauthenticate"),
    path("account/email", allauth.email, name="account_email"),
    path(
        "account/email/sent",
        allauth.email_verification_sent,
        name="account_email_verification_sent",
    ),
    path("account/email/<str:key>", allauth.confirm_email, name="account_confirm_email"),
    path("account/password", allauth.password_change, name="account_change_password"),
    path("account/password/set", allauth.password_set, name="account_set_password"),
    path("account/password/reset", allauth.password_reset, name="account_reset_password"),
    path(
        "account/password/reset/sent",
        allauth.password_reset_done,
        name="account_reset_password_done",
    ),
    path(
        "account/password/reset/done",
        allauth.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        # With a dash between them: django-allauth makes the link of both at once.
        r"^account/password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[^/]+)$",
        allauth.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("account/second-factor/", include("allauth.mfa.urls")),
    path("account/sessions", include("allauth.usersessions.urls")),
]
