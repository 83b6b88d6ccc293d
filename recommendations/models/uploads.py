"""Catalogues that were uploaded in the console: looked at first, then taken or left."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class CatalogueUpload(models.Model):
    """A file with tracks, what importing it would do, and whether it was imported."""

    class Status(models.TextChoices):
        """How far it is."""

        PREVIEWED = "previewed"
        IMPORTED = "imported"
        DISCARDED = "discarded"

    MAX_BYTES = 10 * 1024 * 1024
    KEPT_REJECTS = 1000

    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    name = models.CharField(max_length=200)
    content = models.BinaryField(help_text="the file; emptied once it is decided on")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PREVIEWED)
    created = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    n_rejects = models.PositiveIntegerField(default=0)
    rejects = models.JSONField(default=list, help_text="line, reason and cells of the first ones")
    sample = models.JSONField(default=list, help_text="the first rows that would be loaded")
    uploaded_at = models.DateTimeField(default=timezone.now)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-uploaded_at"]

    def __str__(self) -> str:
        return self.name
