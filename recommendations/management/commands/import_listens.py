"""``manage.py import_listens FILE``: plays and ratings from CSV or CSV.gz."""

from collections.abc import Callable
from pathlib import Path

from recommendations.management.importing import ImportCommand
from recommendations.services.imports.listens import import_listens
from recommendations.services.imports.reading import Rejects


class Command(ImportCommand):
    """Loads plays and ratings from CSV or CSV.gz."""

    help = "Load plays and ratings from CSV or CSV.gz. Safe to run twice."

    def load(self, path: Path, rejects: Rejects, progress: Callable[[int], None]) -> list[object]:
        """Import `path`."""
        return [import_listens(path, rejects=rejects, progress=progress)]
