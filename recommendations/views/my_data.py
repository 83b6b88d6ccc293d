"""A listener's data as a whole: taking it out, and bringing it along."""

from django.conf import settings
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.exceptions import APIException
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.callers import caller
from musicrec.paging import Pages
from recommendations.models import HistoryImport
from recommendations.serializers_me import HistoryImportSerializer, UploadSerializer
from recommendations.services import personal_data
from recommendations.services.imports import history
from recommendations.tasks import queue_import


class TooLarge(APIException):
    """The body has more bytes than are taken."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "file_too_large"
    default_detail = f"The file may have {history.MAX_UPLOAD} bytes at most."


class ExportView(APIView):
    """Everything about the listener."""

    throttle_scope = "accounts"

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.OBJECT})
    def get(self, request: Request) -> StreamingHttpResponse:
        """Answer a file with every row that is about the listener, by section."""
        now = timezone.now()
        return StreamingHttpResponse(
            personal_data.export(caller(request), at=now),
            content_type="application/json",
            headers={
                "Content-Disposition": f'attachment; filename="musicrec-{now:%Y-%m-%d}.json"',
                "Cache-Control": "private, no-store",
            },
        )


class ImportView(APIView):
    """A listening history from elsewhere."""

    throttle_scope = "accounts"
    parser_classes = (MultiPartParser,)

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Refuse a body by its length before any of it is read."""
        length = request.META.get("CONTENT_LENGTH") or "0"
        if int(length) > history.MAX_UPLOAD + settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge
        super().initial(request, *args, **kwargs)

    @extend_schema(
        request={
            "multipart/form-data": {
                "type": "object",
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "source": {"type": "string", "enum": list(HistoryImport.Source.values)},
                },
                "required": ["file"],
            }
        },
        responses={202: HistoryImportSerializer},
    )
    def post(self, request: Request) -> Response:
        """Take a history of Spotify, Last.fm or ListenBrainz; a worker reads it.

        JSON, JSON lines or CSV, alone or zipped as the service hands them out.  Each play counts
        once, however often it is sent.
        """
        serializer = UploadSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        upload = serializer.validated_data["file"]
        if upload.size > history.MAX_UPLOAD:
            raise TooLarge
        job = history.request_import(
            listener=caller(request),
            content=upload.read(),
            file_name=upload.name,
            source=serializer.validated_data.get("source", ""),
            at=timezone.now(),
        )
        queue_import(job.pk)
        return Response(HistoryImportSerializer(job).data, status=status.HTTP_202_ACCEPTED)


class ImportListView(generics.ListAPIView):
    """The listener's imports."""

    serializer_class = HistoryImportSerializer
    pagination_class = Pages
    ordering = ("-created_at", "-pk")

    def get_queryset(self):
        """Return them without the files."""
        if getattr(self, "swagger_fake_view", False):
            return HistoryImport.objects.none()
        return HistoryImport.objects.by(caller(self.request)).without_content()

    @extend_schema()
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Answer a page of imports, the newest first."""
        return super().get(request, *args, **kwargs)


class ImportDetailView(APIView):
    """One import."""

    @extend_schema(responses={200: HistoryImportSerializer})
    def get(self, request: Request, pk: int) -> Response:
        """Answer how far it is, and what was found."""
        imports = HistoryImport.objects.by(caller(request)).without_content()
        return Response(HistoryImportSerializer(get_object_or_404(imports, pk=pk)).data)
