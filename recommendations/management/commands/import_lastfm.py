"""``manage.py import_lastfm ZIP``: the HetRec 2011 Last.fm archive."""

from collections.abc import Callable
from pathlib import Path

from recommendations.management.importing import ImportCommand
from recommendations.services.imports.lastfm import import_lastfm
from recommendations.services.imports.reading import Rejects


class Command(ImportCommand):
    """Loads the artists, tags and play counts of the HetRec archive."""

    help = "Load the HetRec 2011 Last.fm archive; artists become tracks. Safe to run twice."
    unit = "rows"

    def load(self, path: Path, rejects: Rejects, progress: Callable[[int], None]) -> list[object]:
        """Import `path`."""
        return list(import_lastfm(path, rejects=rejects, progress=progress))
