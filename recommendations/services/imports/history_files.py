"""Rows of an uploaded history: JSON, JSON lines or CSV, alone or several in a zip.

Nothing is trusted: what a zip claims of its sizes is not believed, but counted while it is read.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, TextIO

from recommendations.core.plays import source_of

MAX_UPLOAD = 64 * 1024 * 1024
"""Bytes of a file; Spotify's zip of a decade has about 20 MB."""

MAX_UNPACKED = 1024 * 1024 * 1024
"""Bytes of all members of a zip, once unpacked."""

MAX_MEMBERS = 5000
MAX_OBJECT = 8 * 1024 * 1024
"""Characters of one JSON object; a wrapper around a page of plays is an object too."""

CHUNK = 1 << 16
MAX_DEPTH = 4

_KNOWN = re.compile(r"endsong|streaming.?history|listens|scrobble|recent.?tracks|last.?fm", re.I)
_KINDS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt")
_SEPARATORS = " \t\r\n,[]\ufeff"
_COLUMNS = {
    "artist": "artist", "artist name": "artist",
    "track": "track", "title": "track", "name": "track", "track name": "track", "song": "track",
    "uts": "uts", "timestamp": "timestamp", "utc_time": "utc_time", "date": "date", "time": "time",
    "datetime": "date", "listened_at": "timestamp", "scrobble time": "date",
    "track_mbid": "track_mbid", "mbid": "mbid", "track id": "mbid",
}  # fmt: skip
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")


class Unreadable(ValueError):
    """The file is no export that can be read; the message says why."""


def read_rows(content: bytes, name: str) -> Iterator[dict[str, Any]]:
    """Yield every row of an upload as a mapping, in an order that is always the same.

    Raises:
        Unreadable: the file is none of the forms, too large once unpacked, or breaks off.
    """
    if not content.startswith(b"PK\x03\x04"):
        yield from _member_rows(io.BytesIO(content), name)
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            budget = _Budget(MAX_UNPACKED)
            for member in _members(archive):
                with archive.open(member) as file:
                    yield from _member_rows(_Counted(file, budget), member.filename)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        # RuntimeError: a member is encrypted.
        raise Unreadable(f"The zip cannot be read: {error}") from error
    except NotImplementedError as error:
        raise Unreadable("The zip is packed in a way that is not supported.") from error


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise Unreadable(f"The zip has {len(infos)} members; {MAX_MEMBERS} are allowed.")
    readable = [i for i in infos if i.filename.lower().endswith(_KINDS) and not i.is_dir()]
    known = [i for i in readable if _KNOWN.search(i.filename)]
    members = sorted(known or readable, key=lambda info: info.filename)
    if not members:
        raise Unreadable("The zip holds no JSON and no CSV.")
    return members


class _Budget:
    def __init__(self, left: int) -> None:
        self.left = left


class _Counted(io.RawIOBase):
    """A member of a zip, read only as far as the budget of all goes."""

    def __init__(self, file: Any, budget: _Budget) -> None:
        self._file = file
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._file.read(len(buffer))
        self._budget.left -= len(chunk)
        if self._budget.left < 0:
            raise Unreadable(f"The zip unpacks to more than {MAX_UNPACKED} bytes.")
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _member_rows(raw: Any, name: str) -> Iterator[dict[str, Any]]:
    buffered = io.BufferedReader(raw, CHUNK)
    text = io.TextIOWrapper(buffered, "utf-8-sig", errors="replace", newline="")
    start = buffered.peek(64)[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in (b"{", b"["):
        yield from _json_rows(text, name)
    elif start:
        yield from _csv_rows(text, name)


def _json_rows(file: TextIO, name: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of an array, of lines, or of both in each other, one at a time."""
    decoder = json.JSONDecoder()
    buffer, wanted = "", CHUNK
    while True:
        chunk = file.read(wanted)
        buffer = (buffer + chunk).lstrip(_SEPARATORS)
        while buffer:
            if buffer[0] != "{":
                raise Unreadable(f"{name}: there is {buffer[:20]!r} where an object should begin.")
            try:
                value, end = decoder.raw_decode(buffer)
            except json.JSONDecodeError as error:
                if not chunk:
                    raise Unreadable(f"{name} breaks off or is not JSON: {error}.") from error
                if len(buffer) > MAX_OBJECT:
                    raise Unreadable(f"{name} holds an object that is too large.") from error
                break
            except (RecursionError, ValueError) as error:
                raise Unreadable(f"{name} holds an object that is none to be read.") from error
            yield from _plays_within(value, MAX_DEPTH)
            buffer = buffer[end:].lstrip(_SEPARATORS)
            wanted = CHUNK
        else:
            if not chunk:
                return
            continue
        wanted = max(CHUNK, len(buffer))  # an object that is not all there: twice as much


def _plays_within(value: object, depth: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of a page of plays; a row that is none by itself comes as it is."""
    if isinstance(value, dict):
        # A name with an at sign is an attribute of the page, not a part of it.
        parts = [item for name, item in value.items() if not name.startswith("@")]
        inner = [item for item in parts if isinstance(item, (list, dict)) and item]
        if source_of(value) or not inner or not depth:
            yield value
        else:
            for item in inner:
                yield from _plays_within(item, depth - 1)
    elif isinstance(value, list) and depth:
        for item in value:
            yield from _plays_within(item, depth - 1)


def _csv_rows(file: TextIO, name: str) -> Iterator[dict[str, Any]]:
    first = file.readline(CHUNK)
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(_lines(first, file), delimiter=delimiter)
    columns: list[str | None] | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield {}
            continue
        if not cells:
            continue
        if columns is None:
            columns = _header(cells)
            if columns is None:
                columns = _columns_without_header(cells, name)
            else:
                continue
        row = {key: cell for key, cell in zip(columns, cells, strict=False) if key}
        if "day" in row:
            row["utc_time"] = f"{row.pop('day')} {row.pop('clock', '')}"
        yield row


def _lines(first: str, file: TextIO) -> Iterator[str]:
    yield first
    while line := file.readline(CHUNK):  # a line without an end fills no memory
        yield line


def _header(cells: list[str]) -> list[str | None] | None:
    columns = [_COLUMNS.get(cell.strip().lower()) for cell in cells]
    return columns if "artist" in columns and "track" in columns else None


def _columns_without_header(cells: list[str], name: str) -> list[str | None]:
    """Return the columns of the two headless forms that tools for Last.fm write."""
    if len(cells) == 4 and _DATE.match(cells[0].strip()):
        return ["day", "clock", "artist", "track"]
    if len(cells) == 4:
        return ["artist", None, "track", "date"]
    raise Unreadable(f"{name}: the header names no artist and no track.")
