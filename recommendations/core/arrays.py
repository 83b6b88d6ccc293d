"""Array types shared by the algorithms, and the one sparse layout they are served from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Rows = NDArray[np.int32]
AnyRows = NDArray[np.integer]
Table = NDArray[np.float32] | NDArray[np.float16]
"""A row per track; half precision where a catalogue is too large to be scanned."""


@dataclass(frozen=True, eq=False)
class SparseVector:
    """A vector of which only some columns are held, rising; the others are 0."""

    columns: AnyRows
    values: Floats
    length: int

    def dense(self) -> Floats:
        """Return all of it, shape (length,)."""
        everything = np.zeros(self.length, np.float32)
        everything[self.columns] = self.values
        return everything

    def at(self, rows: AnyRows) -> Floats:
        """Return its values at `rows`."""
        if not len(self.columns):
            return np.zeros(len(rows), np.float32)
        place = np.minimum(np.searchsorted(self.columns, rows), len(self.columns) - 1)
        return np.where(self.columns[place] == rows, self.values[place], np.float32(0))


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A matrix in compressed rows (CSR), readable straight from memory-mapped files.

    Attributes:
        starts: where each row begins in `columns`, shape (n_rows + 1,), int64, rising from 0.
        columns: column of each entry, shape (n_entries,), int32, rising within a row.
        values: value of each entry, shape (n_entries,), float16 or float32.
        n_columns: width of the matrix.
    """

    starts: NDArray[np.int64]
    columns: Rows
    values: NDArray[np.floating]
    n_columns: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.starts) - 1

    @classmethod
    def from_lists(cls, rows: Iterable[Iterable[int]], n_columns: int) -> SparseRows:
        """Build a 0/1 matrix from each row's columns; repeats within a row count once."""
        unique = [np.unique(np.fromiter(row, dtype=np.int32)) for row in rows]
        starts = np.zeros(len(unique) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in unique], out=starts[1:])
        columns = np.concatenate([*unique, np.empty(0, np.int32)]).astype(np.int32)
        if columns.size and (columns.min() < 0 or columns.max() >= n_columns):
            raise ValueError(f"columns must lie in [0, {n_columns}), got {columns.max()}")
        return cls(starts, columns, np.ones(len(columns), np.float32), n_columns)

    def halved(self) -> SparseRows:
        """Return the matrix with its values in half precision."""
        return replace(self, values=self.values.astype(np.float16))

    def row(self, row: int) -> tuple[Rows, Floats]:
        """Return one row's columns and values."""
        entries = slice(self.starts[row], self.starts[row + 1])
        return self.columns[entries], self.values[entries].astype(np.float32)

    def entries_of(self, rows: AnyRows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the positions of the entries of `rows`, and which of `rows` each belongs to."""
        begin = self.starts[rows]
        lengths = self.starts[np.asarray(rows) + 1] - begin
        owner = np.repeat(np.arange(len(lengths)), lengths)
        before = np.cumsum(lengths) - lengths
        return np.arange(len(owner)) + (begin - before)[owner], owner

    def take(self, rows: AnyRows) -> SparseRows:
        """Return some of the rows, copied, in single precision."""
        taken = self._matrix[rows]
        values = taken.data.view(self.values.dtype).astype(np.float32, copy=False)
        return SparseRows(taken.indptr, taken.indices, values, self.n_columns)

    def block(self, rows: AnyRows, columns: AnyRows) -> Floats:
        """Return the entries where some rows and some columns meet, shape (n_rows, n_columns).

        By bisection in each row, so that a long one is not read for a few of its columns.
        """
        if not len(self.columns):
            return np.zeros((len(rows), len(columns)), np.float32)
        begin, end = self.starts[rows][:, None], self.starts[np.asarray(rows) + 1][:, None]
        low, high = (np.repeat(edge, len(columns), axis=1) for edge in (begin, end))
        for _ in range(int((end - begin).max(initial=0)).bit_length()):
            middle = (low + high) >> 1
            is_left = (self.columns.take(middle, mode="clip") < columns) & (middle < high)
            np.copyto(low, middle + 1, where=is_left)
            np.copyto(high, middle, where=~is_left)
        is_there = (low < end) & (self.columns.take(low, mode="clip") == columns)
        values = self.values.take(low, mode="clip").astype(np.float32)
        return np.where(is_there, values, np.float32(0))

    def weighted_sum(self, weights: NDArray[np.floating]) -> SparseVector:
        """Return `weights @ matrix`, of single precision; only its non-empty columns are held."""
        if 8 * len(self.columns) > self.n_columns:  # cheaper than sorting the columns
            total: Floats = weights.astype(np.float32, copy=False) @ self._matrix
            filled = np.flatnonzero(total)
            return SparseVector(filled, total[filled], self.n_columns)
        summands = self.values * np.repeat(weights, np.diff(self.starts))
        columns, at = np.unique(self.columns, return_inverse=True)
        values = np.bincount(at, summands, minlength=len(columns))
        return SparseVector(columns, values.astype(np.float32), self.n_columns)

    @cached_property
    def _matrix(self) -> sparse.csr_array:
        """The same arrays as scipy's, which knows no half precision: of that, the bits."""
        is_half = self.values.dtype == np.float16
        values = self.values.view(np.uint16) if is_half else self.values
        # Beside starts of another width scipy would copy the columns, and they may be many.
        fits = len(self.columns) <= np.iinfo(self.columns.dtype).max
        starts = self.starts.astype(self.columns.dtype) if fits else self.starts
        return sparse.csr_array((values, self.columns, starts), shape=(self.n_rows, self.n_columns))

    def pooled(self, rows: AnyRows, weights: NDArray[np.floating]) -> Floats:
        """Return `weights @ matrix[rows]`, dense; for few columns, `weighted_sum` for many."""
        position, owner = self.entries_of(rows)
        summands = self.values[position] * weights[owner]
        columns = self.columns[position]
        return np.bincount(columns, summands, minlength=self.n_columns).astype(np.float32)

    def dot(self, vector: NDArray[np.floating], rows: AnyRows | None = None) -> Floats:
        """Return the product of the matrix, or of some of its rows, with a column vector."""
        if rows is None:
            summands = self.values * vector[self.columns]
            total = np.concatenate([[0.0], np.cumsum(summands, dtype=np.float64)])
            sums: Floats = (total[self.starts[1:]] - total[self.starts[:-1]]).astype(np.float32)
            return sums
        position, owner = self.entries_of(rows)
        summands = self.values[position] * vector[self.columns[position]]
        return np.bincount(owner, summands, minlength=len(rows)).astype(np.float32)


def top_k(scores: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Return the rows of the `k` largest finite scores, best first; ties go to the lower row.

    Rows scored `-inf` are never returned, so fewer than `k` may come back.  O(n + k log k).

    Raises:
        ValueError: `k` < 1.
    """
    if k < 1:
        raise ValueError(f"k must be >= 1, got {k}")
    if k < len(scores):
        threshold = np.partition(scores, -k)[-k]
        above = np.flatnonzero(scores > threshold)
        ties = np.flatnonzero(scores == threshold)[: k - len(above)]
        rows = np.concatenate([above, ties])
        rows.sort()
    else:
        rows = np.arange(len(scores))
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    finite: NDArray[np.intp] = rows[np.isfinite(scores[rows])]
    return finite
