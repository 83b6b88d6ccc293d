"""Addresses of recommendations."""

from django.urls import path

from recommendations.views import catalogue, home, listening, me

urlpatterns = [
    path("", home.HomeView.as_view(), name="home"),
    path("livez", home.livez, name="livez"),
    path("readyz", home.readyz, name="readyz"),
    path("recommend", listening.RecommendView.as_view(), name="api-recommend"),
    path(
        "tracks/<str:track_id>/similar",
        catalogue.SimilarTracksView.as_view(),
        name="api-similar-tracks",
    ),
    path("feedback", listening.FeedbackView.as_view(), name="api-feedback"),
    path("feedback/<path:event_id>", me.FeedbackDetailView.as_view(), name="api-feedback-detail"),
    path("me", me.MeView.as_view(), name="api-me"),
    path("me/state", me.StateView.as_view(), name="api-me-state"),
    path("me/history", me.HistoryView.as_view(), name="api-me-history"),
    path("me/hidden", me.HiddenListView.as_view(), name="api-me-hidden"),
    path("me/hidden/<int:pk>", me.HiddenDetailView.as_view(), name="api-me-hidden-detail"),
]
