"""Addresses of recommendations."""

from django.urls import path

from recommendations.views import home, listening

urlpatterns = [
    path("", home.HomeView.as_view(), name="home"),
    path("livez", home.livez, name="livez"),
    path("readyz", home.readyz, name="readyz"),
    path("recommend", listening.RecommendView.as_view(), name="api-recommend"),
    path("feedback", listening.FeedbackView.as_view(), name="api-feedback"),
]
