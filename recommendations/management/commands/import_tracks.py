"""``manage.py import_tracks FILE``: a catalogue from CSV or CSV.gz."""

from collections.abc import Callable
from pathlib import Path

from recommendations.management.importing import ImportCommand
from recommendations.services.imports.reading import Rejects
from recommendations.services.imports.tracks import import_tracks


class Command(ImportCommand):
    """Loads a catalogue from CSV or CSV.gz."""

    help = "Load a catalogue from CSV or CSV.gz. Safe to run twice."

    def load(self, path: Path, rejects: Rejects, progress: Callable[[int], None]) -> list[object]:
        """Import `path`."""
        return [import_tracks(path, rejects=rejects, progress=progress)]
