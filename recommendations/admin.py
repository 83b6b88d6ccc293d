"""Catalogue, registry, ledger and outbox in the admin."""

from functools import cached_property

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from musicrec.exceptions import RuleViolation
from recommendations.models import (
    Artist,
    Feedback,
    Genre,
    ModelVersion,
    OutboxEvent,
    Recommendation,
    ServingState,
    Track,
    TrainingRun,
)
from recommendations.services import audit
from recommendations.services import train as training
from recommendations.services.catalogue import index_tracks, touch_catalogue
from recommendations.services.enrichment import applying as enrichment
from recommendations.services.enrichment.applying import ENRICHED
from recommendations.tasks import enrich_tracks, queue_training

MAX_ENRICHED = 1000
"""Tracks that one act in the admin asks for; `manage.py enrich_tracks` takes them all."""


class LedgerPaginator(Paginator):
    """Pages of a table with millions of rows, whose exact count would take a second.

    Counts what a filter leaves up to a limit; for the whole table it takes the planner's estimate.
    """

    LIMIT = 10_000

    @cached_property
    def count(self) -> int:
        """How many rows there are: exact below the limit."""
        rows = self.object_list
        n = rows.order_by().values("pk")[: self.LIMIT].count()
        if n < self.LIMIT or rows.query.where:
            return n
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = %s::regclass",
                [rows.model._meta.db_table],
            )
            return max(cursor.fetchone()[0], n)


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that a program writes and a person reads."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds one by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody changes one by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody deletes one by hand."""
        return False


class CatalogueAdmin(admin.ModelAdmin):
    """Rows whose change every web process takes up within 2 s."""

    def save_related(self, request, form, formsets, change) -> None:
        """Save, make it findable, then tell the web processes."""
        super().save_related(request, form, formsets, change)
        obj = form.instance
        tracks = [obj.pk] if isinstance(obj, Track) else obj.tracks.values_list("pk", flat=True)
        index_tracks(tracks)
        touch_catalogue()

    def delete_model(self, request: HttpRequest, obj: object) -> None:
        """Delete, then tell the web processes."""
        super().delete_model(request, obj)
        touch_catalogue()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Delete, then tell the web processes."""
        super().delete_queryset(request, queryset)
        touch_catalogue()


@admin.register(Track)
class TrackAdmin(CatalogueAdmin):
    """Tracks; hiding one takes it off every list within 2 s."""

    list_display = ("name", "artist", "track_id", "year", "is_active")
    list_filter = ("is_active", "genres")
    list_select_related = ("artist",)
    search_fields = ("name", "artist__name", "track_id")
    raw_id_fields = ("artist",)
    actions = ("hide", "show", "enrich_from_spotify", "enrich_from_musicbrainz")
    readonly_fields = ("typed",)

    @admin.display(description="typed by an editor")
    def typed(self, track: Track) -> str:
        """Name the fields that no enrichment overwrites."""
        return ", ".join(track.edited_fields) or "nothing"

    def save_model(self, request: HttpRequest, obj: Track, form, change: bool) -> None:
        """Remember which fields a person typed, then save."""
        typed = set(form.changed_data) & ENRICHED
        obj.edited_fields = sorted(typed | set(obj.edited_fields))
        super().save_model(request, obj, form, change)

    @admin.action(description="Fill in from Spotify", permissions=["change"])
    def enrich_from_spotify(self, request: HttpRequest, queryset: QuerySet[Track]) -> None:
        """Look the chosen up in a worker."""
        self._enrich(request, queryset, "spotify")

    @admin.action(description="Fill in from MusicBrainz", permissions=["change"])
    def enrich_from_musicbrainz(self, request: HttpRequest, queryset: QuerySet[Track]) -> None:
        """Look the chosen up in a worker."""
        self._enrich(request, queryset, "musicbrainz")

    def _enrich(self, request: HttpRequest, queryset: QuerySet[Track], provider: str) -> None:
        missing = enrichment.missing_settings(provider)
        if missing:
            words = f"{provider} needs {' and '.join(missing)} in the environment."
            self.message_user(request, words, messages.ERROR)
            return
        keys = list(queryset.values_list("pk", flat=True)[:MAX_ENRICHED])
        enrich_tracks.delay_on_commit(provider, keys)
        audit.note(
            by=request.user,
            act=f"asked {provider}",
            subject=f"{len(keys)} tracks",
            at=timezone.now(),
        )
        self.message_user(request, f"A worker asks {provider} for {len(keys)} tracks, politely.")

    @admin.action(description="Hide from every list", permissions=["change"])
    def hide(self, request: HttpRequest, queryset: QuerySet[Track]) -> None:
        """Take tracks off every list."""
        self._set_active(request, queryset, False)

    @admin.action(description="Show again", permissions=["change"])
    def show(self, request: HttpRequest, queryset: QuerySet[Track]) -> None:
        """Let tracks be recommended again."""
        self._set_active(request, queryset, True)

    def _set_active(self, request: HttpRequest, queryset: QuerySet[Track], active: bool) -> None:
        for track in queryset:
            self.log_change(request, track, "shown" if active else "hidden")
        changed = queryset.update(is_active=active, updated_at=timezone.now())
        touch_catalogue()
        self.message_user(request, f"{changed} tracks {'shown again' if active else 'hidden'}.")


@admin.register(Artist, Genre)
class NameAdmin(CatalogueAdmin):
    """Artists and genres."""

    search_fields = ("name",)


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    """The registry: every version, the one that serves, and the way back."""

    list_display = ("id", "serves", "created_at", "n_parameters", "n_tracks", "verdict")
    actions = ("promote", "roll_back")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelVersion]:
        """Say of each version whether it serves, in the same query."""
        serving = ServingState.objects.filter(model_version=OuterRef("pk"))
        return super().get_queryset(request).annotate(is_serving=Exists(serving))

    @admin.display(boolean=True)
    def serves(self, version: ModelVersion) -> bool:
        """Return whether web processes serve this version."""
        return version.is_serving

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Return whether this person may decide what serves."""
        return request.user.has_perm("recommendations.change_servingstate")

    @admin.action(description="Serve this version", permissions=["act"])
    def promote(self, request: HttpRequest, queryset: QuerySet[ModelVersion]) -> None:
        """Serve the chosen version."""
        if len(queryset) != 1:
            self.message_user(request, "Choose one version.", messages.ERROR)
            return
        version = queryset[0]
        try:
            training.promote(version, at=timezone.now())
        except RuleViolation as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        self.log_change(request, version, "promoted by hand")
        self.message_user(request, f"Model {version.pk} serves within 2 seconds.")

    @admin.action(
        description="Go back to the version before (whatever is chosen)", permissions=["act"]
    )
    def roll_back(self, request: HttpRequest, queryset: QuerySet[ModelVersion]) -> None:
        """Serve the version that served before."""
        try:
            version = training.roll_back(at=timezone.now())
        except RuleViolation as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        self.log_change(request, version, "rolled back to")
        self.message_user(request, f"Model {version.pk} serves again within 2 seconds.")


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    """Training runs."""

    list_display = ("id", "status", "trigger", "requested_at", "finished_at", "error")
    list_filter = ("status", "trigger")
    actions = ("start",)

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Return whether this person may start a training."""
        return request.user.has_perm("recommendations.add_trainingrun")

    @admin.action(description="Train now (whatever is chosen)", permissions=["act"])
    def start(self, request: HttpRequest, queryset: QuerySet[TrainingRun]) -> None:
        """Queue a run."""
        run = queue_training(TrainingRun.Trigger.MANUAL)
        if run is None:
            self.message_user(request, "A run is under way already.", messages.WARNING)
        else:
            self.log_addition(request, run, "queued by hand")
            self.message_user(request, f"Run {run.pk} is queued.")


@admin.register(OutboxEvent)
class OutboxAdmin(ReadOnlyAdmin):
    """Effects still owed; those that failed too often wait here for a person."""

    list_display = ("id", "kind", "created_at", "attempts", "closed_at", "last_error")
    list_filter = (("closed_at", admin.EmptyFieldListFilter), "kind")
    actions = ("retry",)

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Return whether this person may send events again."""
        return request.user.has_perm("recommendations.change_outboxevent")

    @admin.action(description="Try again now", permissions=["act"])
    def retry(self, request: HttpRequest, queryset: QuerySet[OutboxEvent]) -> None:
        """Let open events be tried again."""
        now = timezone.now()
        n = queryset.filter(closed_at=None).update(attempts=0, due_at=now)
        audit.note(by=request.user, act="retried", subject=f"{n} events of the outbox", at=now)
        self.message_user(request, f"{n} events will be tried again within a second.")


@admin.register(Recommendation)
class RecommendationAdmin(ReadOnlyAdmin):
    """The ledger of what was shown."""

    list_display = (
        "id",
        "listener",
        "created_at",
        "policy",
        "strategy",
        "fallback",
        "model_version",
    )
    list_filter = ("strategy", "policy")
    list_select_related = ("listener", "model_version")
    show_full_result_count = False
    paginator = LedgerPaginator
    list_per_page = 50


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin):
    """What listeners did."""

    list_display = ("id", "listener", "track", "kind", "preference", "occurred_at")
    list_filter = ("kind",)
    list_select_related = ("listener", "track__artist")
    show_full_result_count = False
    paginator = LedgerPaginator
    list_per_page = 50
