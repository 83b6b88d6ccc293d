"""Addresses."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts.pages import AdminLoginPage
from musicrec import client

urlpatterns = [
    # Addresses are tried in turn: those that are asked for most come first.
    path("", include("recommendations.urls")),
    path("", include("accounts.urls")),
    path("_allauth/", include("allauth.headless.urls")),
    path("", include("bandits.urls")),
    path("", include("experiments.urls")),
    path("app/sw.js", client.service_worker, name="service-worker"),
    path("app/", client.shell, name="app"),
    path("app/<path:path>", client.shell),
    path("", include("musicrec.console")),
    path("schema", SpectacularAPIView.as_view(), name="schema"),
    path(
        "docs",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="docs.html"),
        name="docs",
    ),
    # One way to log in: the limits on tries hold for the admin too.
    path("admin/login/", AdminLoginPage.as_view(), name="admin-login"),
    path("admin/", admin.site.urls),
]

handler400 = "musicrec.exceptions.bad_request"
handler403 = "musicrec.exceptions.permission_denied"
handler404 = "musicrec.exceptions.page_not_found"
handler500 = "musicrec.exceptions.server_error"
