"""The page, JSON and CSV of experiments; staff only."""

from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import StaffOrAnalytics
from experiments import pages, reports
from experiments.analysis import Options
from experiments.core.intervals import Method
from experiments.models import Experiment
from experiments.renderers import CSVRenderer
from experiments.serializers import OptionsSerializer, report_data
from musicrec.renderers import JSONRenderer


class ExperimentsView(APIView):
    """Experiments with badges; of each, exposures, results, trend, health and verdict."""

    permission_classes = [StaffOrAnalytics]
    renderer_classes = [JSONRenderer, TemplateHTMLRenderer, CSVRenderer]

    @extend_schema(parameters=[OptionsSerializer], responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Report on every experiment, or on `experiment` alone."""
        serializer = OptionsSerializer(data=request.query_params)
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        at = timezone.now()
        is_page = isinstance(request.accepted_renderer, TemplateHTMLRenderer)
        experiments = Experiment.objects.for_list()
        if key := asked.get("experiment"):
            found = [get_object_or_404(experiments, key=key)]
        elif is_page:
            context = pages.list_page(reports.summaries(at=at))
            return Response(context, template_name="experiments/list.html")
        else:
            found = list(experiments)
        made = reports.report_each(
            [(experiment, _options(asked, experiment)) for experiment in found],
            at=at,
            segment=asked["segment"],
        )
        if is_page:
            context = pages.detail_page(made[0], asked)
            return Response(context, template_name="experiments/detail.html")
        return Response({"experiments": [report_data(report) for report in made]})

    def handle_exception(self, exc: Exception) -> HttpResponseBase:
        """Send a browser that is not logged in to the login page."""
        renderer = getattr(self.request, "accepted_renderer", None)
        if isinstance(renderer, TemplateHTMLRenderer) and not self.request.user.is_authenticated:
            return redirect_to_login(self.request.get_full_path())
        return super().handle_exception(exc)


def _options(asked: dict[str, Any], experiment: Experiment) -> Options:
    return Options(
        cuped=asked["cuped"],
        method=Method(asked.get("interval") or experiment.method),
        relative=asked["lift"] == "relative",
        bayesian=asked["engine"] == "bayesian",
    )
