"""The catalogue: look through it, hide, import with a preview."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from musicrec.exceptions import RuleViolation
from recommendations.models import Artist, CatalogueUpload, Track, TrackShown
from recommendations.models.catalogue import AUDIO_FEATURES
from recommendations.services import uploads
from recommendations.services.catalogue import set_visibility
from recommendations.services.imports.tracks import COLUMNS
from recommendations.views.console.base import ConsolePage

PAGE = 50
UNSEEN_DAYS = 30
VIEWS = {
    "all": "All tracks",
    "unseen": f"Shown to nobody in {UNSEEN_DAYS} days",
    "bare": "Without content",
    "hidden": "Hidden",
}


class CatalogueView(ConsolePage):
    """Tracks: all, those nobody was shown, those nothing is known of, those hidden."""

    permission = "recommendations.view_track"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show a page of tracks."""
        show = request.GET.get("show", "all")
        show = show if show in VIEWS else "all"
        q = request.GET.get("q", "").replace("\x00", "").strip()[:200]
        after = request.GET.get("after", "")
        since = timezone.now().date() - timedelta(days=UNSEEN_DAYS)
        tracks = _tracks(show, q, since)
        if after.isascii() and after.isdigit() and len(after) < 18:
            tracks = tracks.filter(pk__gt=int(after))
        shown = (
            TrackShown.objects.filter(track=OuterRef("pk"), day__gte=since)
            .order_by()
            .values("track")
            .annotate(total=Sum("n"))
            .values("total")
        )
        rows = list(
            tracks.select_related("artist")
            .prefetch_related("genres")
            .annotate(n_shown=Subquery(shown))
            .order_by("pk")[: PAGE + 1]
        )
        more = rows[PAGE - 1].pk if len(rows) > PAGE else None
        return self.render(
            "console/catalogue.html",
            {
                "rows": rows[:PAGE],
                "more": more,
                "show": show,
                "q": q,
                "views": VIEWS.items(),
                "days": UNSEEN_DAYS,
                "uploads": CatalogueUpload.objects.defer("content", "rejects", "sample")[:5]
                if request.user.has_perm("recommendations.add_catalogueupload")
                else [],
            },
        )


def _tracks(show: str, q: str, since: Any) -> QuerySet[Track]:
    tracks = Track.objects.all()
    if show == "unseen":
        # One look into the index a track; "not exists" would have every day of every track read.
        days = TrackShown.objects.filter(track=OuterRef("pk")).order_by("-day").values("day")
        tracks = Track.objects.active().annotate(last_shown=Subquery(days[:1]))
        tracks = tracks.filter(Q(last_shown=None) | Q(last_shown__lt=since))
    elif show == "bare":
        linked = Track.genres.through.objects.filter(track=OuterRef("pk"))
        tracks = tracks.filter(~Exists(linked), **{f"{name}": None for name in AUDIO_FEATURES})
    elif show == "hidden":
        tracks = tracks.filter(Q(is_active=False) | Q(artist__is_active=False))
    if q:
        tracks = tracks.filter(Q(name__icontains=q) | Q(artist__name__icontains=q) | Q(track_id=q))
    return tracks


class VisibilityView(ConsolePage):
    """Hide a track or an artist at once everywhere, or show them again."""

    permission = "recommendations.view_track"
    act_permission = "recommendations.change_track"

    def post(self, request: HttpRequest, kind: str, pk: int) -> HttpResponse:
        """Do it and go back."""
        model = Track if kind == "track" else Artist
        subject = get_object_or_404(model, pk=pk)
        is_active = request.POST.get("visible") == "yes"
        set_visibility(
            subject,
            is_active=is_active,
            by=request.user,
            at=timezone.now(),
            reason=request.POST.get("reason", "")[:500],
        )
        where = "can be recommended again" if is_active else "is off every list within 2 seconds"
        messages.success(request, f"{subject} {where}.")
        back = request.POST.get("next", "")
        if not url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure()):
            return redirect("catalogue")
        return redirect(back)


class UploadView(ConsolePage):
    """Bring a file to look at, or name its address."""

    permission = "recommendations.add_catalogueupload"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Ask for the file."""
        return self._ask()

    def post(self, request: HttpRequest) -> HttpResponse:
        """Find out what importing it would do."""
        file, address = request.FILES.get("file"), request.POST.get("address", "").strip()
        who = {"by": request.user, "at": timezone.now()}
        if bool(file) == bool(address):
            return self._ask("Choose a file or give an address, one of the two.", address)
        if file and file.size > CatalogueUpload.MAX_BYTES:
            return self._ask(
                f"The file has {file.size:,} bytes; a page takes {CatalogueUpload.MAX_BYTES:,}. "
                "Larger ones: manage.py import_tracks."
            )
        try:
            upload = (
                uploads.preview(name=file.name, content=file.read(), **who)
                if file
                else uploads.preview_of(address, **who)
            )
        except RuleViolation as error:
            return self._ask(str(error), address)
        return redirect("catalogue-import", pk=upload.pk)

    def _ask(self, error: str = "", address: str = "") -> HttpResponse:
        context = {
            "error": error,
            "address": address,
            "columns": [*COLUMNS, *AUDIO_FEATURES],
            "megabytes": CatalogueUpload.MAX_BYTES // 1024**2,
        }
        return self.render("console/upload.html", context, status=400 if error else 200)


class ImportView(ConsolePage):
    """What importing an uploaded file would do, or did."""

    permission = "recommendations.add_catalogueupload"

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show it; the rejects as CSV on request."""
        upload = get_object_or_404(CatalogueUpload.objects.select_related("uploaded_by"), pk=pk)
        if request.GET.get("format") == "csv":
            response = HttpResponse(
                uploads.rejects_as_csv(upload), content_type="text/csv; charset=utf-8"
            )
            response["Content-Disposition"] = f'attachment; filename="rejects-{upload.pk}.csv"'
            return response
        header, *sample = upload.sample or [[]]
        return self.render(
            "console/import.html",
            {
                "upload": upload,
                "header": header,
                "sample": sample,
                "rejects": upload.rejects[:100],
                "n_kept": len(upload.rejects),
            },
        )

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Import or discard it."""
        upload = get_object_or_404(CatalogueUpload, pk=pk)
        act = request.POST.get("act")
        if act not in ("import", "discard"):
            raise PermissionDenied("There is no such act.")
        try:
            if act == "import":
                done = uploads.confirm(upload, by=request.user, at=timezone.now())
                messages.success(
                    request,
                    f"{done.created:,} tracks new, {done.changed:,} changed; "
                    "lists know them within 2 seconds.",
                )
            else:
                uploads.discard(upload, at=timezone.now())
                messages.success(request, f"{upload.name} was discarded; nothing was changed.")
        except RuleViolation as error:
            messages.error(request, str(error))
        return redirect("catalogue-import", pk=pk)
