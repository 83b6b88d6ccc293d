"""Reading the catalogue."""

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from recommendations.serializers import SimilarTrackSerializer
from recommendations.services.similar import similar_tracks


class HowManySerializer(serializers.Serializer):
    """How many to answer."""

    n = serializers.IntegerField(min_value=1, max_value=100, default=10)


class SimilarTracksView(APIView):
    """Tracks like another one."""

    @extend_schema(
        parameters=[OpenApiParameter("n", int, description="1 to 100, default 10")],
        responses={200: SimilarTrackSerializer(many=True)},
    )
    def get(self, request: Request, track_id: str) -> Response:
        """Answer the tracks most like one, best first."""
        query = HowManySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        found = similar_tracks(track_id, k=query.validated_data["n"])
        if found is None:
            raise Http404("There is no such track.")
        return Response(SimilarTrackSerializer(found, many=True).data)
