"""Addresses of recommendations."""

from django.urls import path

from recommendations.views import catalogue, home, listening

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
]
