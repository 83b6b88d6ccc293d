"""Addresses of the operator's console."""

from django.urls import path

from musicrec.overview import OverviewView
from recommendations.views.console import (
    catalogue,
    governing,
    listeners,
    mending,
    models,
    search,
    system,
)

urlpatterns = [
    path("analytics", OverviewView.as_view(), name="overview"),
    path("analytics/system-metrics", system.SystemMetricsView.as_view(), name="system-metrics"),
    path("analytics/definitions", system.DefinitionsView.as_view(), name="definitions"),
    path("analytics/search", search.SearchView.as_view(), name="console-search"),
    path("analytics/models", models.ModelsView.as_view(), name="models"),
    path("analytics/models/compare", models.CompareModelsView.as_view(), name="compare-models"),
    *(
        path(
            f"analytics/models/{act}",
            models.ModelActView.as_view(),
            {"act": act},
            name=f"model-{act}",
        )
        for act in models.ACTS
    ),
    path("analytics/listeners", listeners.ListenersView.as_view(), name="listeners"),
    path("analytics/listeners/<uuid:key>", listeners.ListenerView.as_view(), name="listener"),
    path("analytics/slates/<uuid:key>", listeners.SlateView.as_view(), name="slate"),
    path("analytics/catalogue", catalogue.CatalogueView.as_view(), name="catalogue"),
    path("analytics/catalogue/import", catalogue.UploadView.as_view(), name="catalogue-upload"),
    path(
        "analytics/catalogue/import/<int:pk>",
        catalogue.ImportView.as_view(),
        name="catalogue-import",
    ),
    path(
        "analytics/catalogue/tracks/<int:pk>/visibility",
        catalogue.VisibilityView.as_view(),
        {"kind": "track"},
        name="track-visibility",
    ),
    path(
        "analytics/catalogue/artists/<int:pk>/visibility",
        catalogue.VisibilityView.as_view(),
        {"kind": "artist"},
        name="artist-visibility",
    ),
    path("analytics/dead-letters", mending.DeadLettersView.as_view(), name="dead-letters"),
    path("analytics/dead-letters/retry", mending.RetryView.as_view(), name="retry-dead-letters"),
    path("analytics/audit-log", governing.AuditLogView.as_view(), name="audit-log"),
    path("analytics/roles", governing.RolesView.as_view(), name="roles"),
]
