"""Addresses of accounts."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from accounts import views

urlpatterns = [
    path("auth/register", views.RegisterView.as_view(), name="api-register"),
    path("auth/token", views.TokenView.as_view(), name="api-token"),
    path("preferences/set", views.PreferencesView.as_view(), name="api-preferences"),
    path("account/", views.AccountPage.as_view(), name="account"),
    path("account/login", views.AccountLoginView.as_view(), name="login"),
    path("account/logout", LogoutView.as_view(), name="logout"),
    path("account/register", views.RegistrationPage.as_view(), name="register"),
]
