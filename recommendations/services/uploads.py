"""Catalogues uploaded in the console: a dry run first, the import once somebody confirms."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction

from accounts.models import User
from musicrec.exceptions import RuleViolation
from recommendations.models import CatalogueUpload
from recommendations.services import audit
from recommendations.services.imports.downloading import download
from recommendations.services.imports.reading import Reject, Rejects, plain_name
from recommendations.services.imports.tracks import ImportReport, import_tracks

SAMPLE = 8
PATIENCE = 15.0
"""Seconds that a page waits for a file it is told to fetch."""


class AlreadyDecided(RuleViolation):
    """The upload was imported or discarded before."""

    code = "already_decided"


class TooLarge(RuleViolation):
    """The file has more bytes than a page takes; `manage.py import_tracks` has no limit."""

    code = "too_large"


class _Undo(Exception):
    """Ends a dry run."""


class _KeptRejects(Rejects):
    """Rejects with more of them kept than a terminal shows."""

    SHOWN = CatalogueUpload.KEPT_REJECTS


def preview(*, name: str, content: bytes, by: User, at: datetime) -> CatalogueUpload:
    """Find out what importing a file would do, change nothing, and keep the file for a decision.

    Raises:
        TooLarge: more than `CatalogueUpload.MAX_BYTES`.
        ImportRefused: it is no catalogue at all.
    """
    if len(content) > CatalogueUpload.MAX_BYTES:
        raise TooLarge(
            f"The file has {len(content):,} bytes; a page takes {CatalogueUpload.MAX_BYTES:,}. "
            "Larger ones: manage.py import_tracks."
        )
    name = plain_name(name, default="catalogue.csv")
    report, rejects = _run(name, content, keep=False)
    return CatalogueUpload.objects.create(
        uploaded_by=by,
        name=name,
        content=content,
        created=report.created,
        changed=report.changed,
        unchanged=report.unchanged,
        n_rejects=rejects.count,
        rejects=[_as_json(reject) for reject in rejects.first],
        sample=_sample(content, name),
        uploaded_at=at,
    )


def preview_of(address: str, *, by: User, at: datetime) -> CatalogueUpload:
    """Fetch a file by its address, and go on as with one that was sent; see `preview`.

    Raises:
        DownloadRefused: the address leads inside, or does not give a file of that size in time.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = download(
            address, Path(folder), most_bytes=CatalogueUpload.MAX_BYTES, seconds=PATIENCE
        )
        name, content = path.name, path.read_bytes()
    parts = urlsplit(address)
    where = f"{parts.hostname}{parts.path}"[:500]  # not its query, which may hold a signature
    with transaction.atomic():
        upload = preview(name=name, content=content, by=by, at=at)
        audit.note(by=by, act="fetched", subject=upload, at=at, words=f"from {where}")
    return upload


@transaction.atomic
def confirm(upload: CatalogueUpload, *, by: User, at: datetime) -> CatalogueUpload:
    """Import a previewed file; its counts become those of what was really done.

    Raises:
        AlreadyDecided: it was imported or discarded before.
        ImportRefused: nothing was changed, for the reason given.
    """
    upload = _undecided(upload)
    report, rejects = _run(upload.name, bytes(upload.content), keep=True)
    upload.created, upload.changed = report.created, report.changed
    upload.unchanged, upload.n_rejects = report.unchanged, rejects.count
    upload.rejects = [_as_json(reject) for reject in rejects.first]
    upload.content, upload.status, upload.decided_at = b"", CatalogueUpload.Status.IMPORTED, at
    upload.save()
    audit.note(
        by=by,
        act="imported",
        subject=upload,
        at=at,
        words=f"{report}; {rejects.count:,} rows rejected",
    )
    return upload


@transaction.atomic
def discard(upload: CatalogueUpload, *, at: datetime) -> None:
    """Drop a previewed file.

    Raises:
        AlreadyDecided: it was imported or discarded before.
    """
    upload = _undecided(upload)
    upload.content, upload.status, upload.decided_at = b"", CatalogueUpload.Status.DISCARDED, at
    upload.save(update_fields=["content", "status", "decided_at"])


def _undecided(upload: CatalogueUpload) -> CatalogueUpload:
    upload = CatalogueUpload.objects.select_for_update().get(pk=upload.pk)
    if upload.status != CatalogueUpload.Status.PREVIEWED:
        raise AlreadyDecided(f"{upload.name} was {upload.status} before.")
    return upload


def rejects_as_csv(upload: CatalogueUpload) -> str:
    """Return the kept rejects: line, reason, and the row's own cells."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["line", "reason", "row"])
    for reject in upload.rejects:
        cells = [f"'{cell}" if cell[:1] in "=+-@" else cell for cell in reject["cells"]]
        writer.writerow([reject["line"], reject["reason"], *cells])
    return out.getvalue()


def _run(name: str, content: bytes, *, keep: bool) -> tuple[ImportReport, Rejects]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        with _KeptRejects(name, Path(folder) / "rejects.csv") as rejects:
            report = None
            try:
                with transaction.atomic():
                    report = import_tracks(path, rejects=rejects)
                    if not keep:
                        raise _Undo
            except _Undo:
                pass
        assert report is not None  # noqa: S101 (import_tracks returned or raised)
        return report, rejects


def _as_json(reject: Reject) -> dict[str, Any]:
    cells = [str(cell)[:200].encode("utf-8", "replace").decode() for cell in reject.cells]
    reason = reject.reason[:500].encode("utf-8", "replace").decode()
    return {
        "line": reject.line,
        "reason": reason.replace("\x00", "␀"),
        "cells": [cell.replace("\x00", "␀") for cell in cells][:40],
    }


def _sample(content: bytes, name: str) -> list[list[str]]:
    """Return the header and the first rows, as they stand in the file."""
    with ExitStack() as stack:
        raw: Any = io.BytesIO(content)
        if name.endswith(".gz"):
            raw = stack.enter_context(gzip.GzipFile(fileobj=raw))
        text = io.TextIOWrapper(raw, "utf-8-sig", errors="replace", newline="")
        rows: list[list[str]] = []
        reader = csv.reader(text)
        while len(rows) <= SAMPLE:
            try:
                cells = next(reader)
            except (StopIteration, csv.Error, OSError, EOFError):
                break
            rows.append([cell[:120].replace("\x00", "␀") for cell in cells[:12]])
    return rows
