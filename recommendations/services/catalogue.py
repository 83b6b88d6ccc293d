"""Acts on the catalogue."""

from django.db import transaction
from django.db.models import F

from recommendations.models import ServingState


def touch_catalogue() -> None:
    """Tell every web process that tracks, artists or genres changed; they reload within 2 s."""
    with transaction.atomic():
        ServingState.objects.get_or_create(pk=1)
        ServingState.objects.filter(pk=1).update(catalogue_version=F("catalogue_version") + 1)
