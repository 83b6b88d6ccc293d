"""Reading CSV files that may hold anything, and keeping account of the rows that are no good."""

import csv
import gzip
import io
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self, TextIO

from musicrec.exceptions import RuleViolation

# Called with the bytes of the file read so far.
Progress = Callable[[int], None]


class ImportRefused(RuleViolation):
    """The import changed nothing: the file cannot be read, or has a bad row and is to have none."""

    code = "import_refused"


class BadRow(ValueError):
    """A row that cannot be loaded; the message names the column and what it holds."""


@dataclass(frozen=True)
class Reject:
    """A row that was not loaded."""

    line: int
    reason: str
    cells: Sequence[str]


@dataclass
class Rejects:
    """The rows that were not loaded, written to `path` as they come.

    The file has the columns ``line``, ``reason`` and then the row's own; it exists only if there
    is a reject, one of an earlier import is removed.  The first few are kept to be shown.

    Raises:
        ImportRefused: the file cannot be written.
    """

    source: str
    path: Path
    strict: bool = False
    count: int = 0
    first: list[Reject] = field(default_factory=list)
    _file: TextIO | None = None

    SHOWN = 20

    def __enter__(self) -> Self:
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, reject: Reject) -> None:
        """Keep `reject`.

        Raises:
            ImportRefused: in strict mode, at once.
        """
        if self.strict:
            raise ImportRefused(
                f"{self.source}, line {reject.line}: {reject.reason}. Nothing was changed."
            )
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                # A rejected row keeps its bytes, whatever they are.
                self._file = self.path.open(
                    "w", encoding="utf-8", errors="surrogateescape", newline=""
                )
                csv.writer(self._file).writerow(["line", "reason", "row"])
            csv.writer(self._file).writerow([reject.line, reject.reason, *reject.cells])
        except OSError as error:
            raise self._unwritable(error) from error
        self.count += 1
        if len(self.first) < self.SHOWN:
            self.first.append(reject)

    def _unwritable(self, error: OSError) -> ImportRefused:
        return ImportRefused(
            f"The file of rejected rows {self.path} cannot be written: {error.strerror}. "
            "Nothing was changed."
        )


class CountingFile(io.RawIOBase):
    """A binary file that reports how far it has been read, for a bar over compressed input."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file = file
        self._progress = progress

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Read into `buffer`, and say how far that is."""
        chunk = self._file.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._progress(self._file.tell())
        return len(chunk)


def open_text(path: Path, stack: ExitStack, progress: Progress) -> TextIO:
    """Open a plain or gzipped file as UTF-8 text in which bad bytes survive as surrogates.

    Raises:
        ImportRefused: the file is not there or may not be read.
    """
    try:
        raw = stack.enter_context(path.open("rb"))
    except OSError as error:
        raise ImportRefused(f"{path} cannot be read: {error.strerror}.") from error
    stream: BinaryIO = io.BufferedReader(CountingFile(raw, progress), 1 << 18)
    if path.suffix == ".gz":
        stream = stack.enter_context(gzip.GzipFile(fileobj=stream))  # type: ignore[assignment]
    return io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")


def read_rows(
    file: TextIO,
    source: str,
    *,
    required: Sequence[str],
    known: Sequence[str],
    rejects: Rejects,
    delimiter: str = ",",
    quoting: int = csv.QUOTE_MINIMAL,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and cells by column of every row with the right shape.

    Args:
        file: open text.
        source: the file's name, for messages.
        required: columns that must be in the header.
        known: every column that means something; others are ignored.
        rejects: where rows of the wrong shape go.
        delimiter: between cells.
        quoting: one of the csv module's constants.

    Raises:
        ImportRefused: the header lacks a column, or the file breaks off.
    """
    reader = csv.reader(file, delimiter=delimiter, quoting=quoting)
    try:
        header = next(reader, None)
        if header is None:
            raise ImportRefused(f"{source} is empty.")
        missing = [name for name in required if name not in header]
        if missing:
            raise ImportRefused(
                f"{source}, line 1: the column {missing[0]!r} is missing; "
                f"the header is {','.join(header)[:200]!r}."
            )
        places = {name: header.index(name) for name in known if name in header}
        while True:
            line = reader.line_num + 1  # where the row begins; a quoted one may span several
            try:
                cells = next(reader)
            except csv.Error as error:
                rejects.add(Reject(line, f"not CSV: {error}", []))
                continue
            if not cells:
                continue
            fault = _fault_of(cells, len(header))
            if fault:
                rejects.add(Reject(line, fault, cells))
            else:
                yield line, {name: cells[i].strip() for name, i in places.items()}
    except StopIteration:
        return
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise ImportRefused(f"{source} breaks off: {error}. Nothing was changed.") from error


def _fault_of(cells: Sequence[str], n_columns: int) -> str | None:
    """Return what is wrong with a row before its meaning is looked at, or None."""
    if len(cells) != n_columns:
        return f"{len(cells)} columns instead of {n_columns}"
    line = "".join(cells)
    if "\x00" in line:
        return "holds a NUL character"
    if not line.isascii() and any("\udc80" <= character <= "\udcff" for character in line):
        return "is not UTF-8"
    return None


def plain_name(name: str, *, default: str) -> str:
    """Return a name without folders and without signs that mean something to a file system.

    Its ending stays: it says whether the file is compressed.
    """
    last = Path(name.replace("\\", "/")).name
    return re.sub(r"[^\w.\- ]", "_", last)[-150:].strip(". ") or default


def text(cells: dict[str, str], column: str, *, longest: int, needed: bool = True) -> str:
    """Return a cell's text.

    Raises:
        BadRow: it is empty though needed, or too long.
    """
    value = cells.get(column, "")
    if needed and not value:
        raise BadRow(f"{column} is empty")
    if len(value) > longest:
        raise BadRow(f"{column} has {len(value)} characters, {longest} are allowed")
    return value


def number(cells: dict[str, str], column: str, low: float, high: float) -> float | None:
    """Return a cell's number, None where it is empty.

    Raises:
        BadRow: it is no finite number between `low` and `high`.
    """
    value = cells.get(column, "")
    if not value:
        return None
    try:
        if "_" in value:  # a digit separator in Python alone
            raise ValueError
        result = float(value)
    except ValueError:
        raise BadRow(f"{column} is no number: {value[:50]!r}") from None
    if not math.isfinite(result) or not low <= result <= high:
        raise BadRow(f"{column} is {value[:50]}, not between {low:g} and {high:g}")
    return result


def whole(cells: dict[str, str], column: str, low: int, high: int) -> int | None:
    """Return a cell's whole number, None where it is empty.

    Raises:
        BadRow: it is no whole number between `low` and `high`.
    """
    result = number(cells, column, low, high)
    if result is None:
        return None
    if result != int(result):
        raise BadRow(f"{column} is {cells[column][:50]}, not a whole number")
    return int(result)


def create_stage(cursor, columns: str) -> None:
    """Create the temporary table ``stage``; it lasts until the transaction ends or the next one."""
    cursor.execute("DROP TABLE IF EXISTS pg_temp.stage")
    cursor.execute(f"CREATE TEMPORARY TABLE stage ({columns}) ON COMMIT DROP")


def copy_rows(cursor, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Send `rows` to `table` by COPY, in blocks, so that memory stays flat.

    Args:
        cursor: a Django cursor; psycopg2's COPY lies beneath it.
        table: a table of ours, never user input.
        columns: its columns, in the order of each row.
        rows: values; None becomes NULL, a list becomes an array.
    """
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    block = io.StringIO()
    for n, row in enumerate(rows, start=1):
        block.write("\t".join(map(_copy_text, row)) + "\n")
        if n % 20_000 == 0:
            block.seek(0)
            cursor.copy_expert(statement, block)
            block = io.StringIO()
    block.seek(0)
    cursor.copy_expert(statement, block)
    # A table filled in this transaction has no statistics yet: without them, joins are planned as
    # if it were tiny, and take minutes instead of a second.
    cursor.execute(f"ANALYZE {table}")


_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ARRAY_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})


def _copy_text(value: object) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, (list, tuple)):
        items = ",".join(f'"{str(item).translate(_ARRAY_ESCAPES)}"' for item in value)
        return f"{{{items}}}".translate(_COPY_ESCAPES)
    return str(value).translate(_COPY_ESCAPES)


def quiet(_bytes_read: int) -> None:
    """Report progress to nobody."""
