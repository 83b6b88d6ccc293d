"""Addresses of the experiments app."""

from django.urls import path

from experiments.views import ExperimentsView

urlpatterns = [path("analytics/ab-testing", ExperimentsView.as_view(), name="ab-testing")]
