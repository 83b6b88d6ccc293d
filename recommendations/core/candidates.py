"""The first stage over a catalogue too large to score exactly: a short dot product.

The factorization branch is a dot product of perhaps a hundred numbers a track, and reading them for
a million tracks is bound by memory.  Its best approximation by fewer numbers keeps the directions
along which scores vary most over listeners and tracks together, and a scan of those finds the
candidates that the network then scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import Floats

HEAD_DIM = 32


@dataclass(frozen=True, eq=False)
class CandidateIndex:
    """Short vectors of all tracks.

    Attributes:
        tracks: shape (n_tracks, head_dim), float32.
        basis: from a listener's weighted factors to the short vector, shape (dim, head_dim).
        bias: constant of each track, shape (n_tracks,).
        cells: where to look in a catalogue too large to scan; None scans all of it.
    """

    tracks: Floats
    basis: Floats
    bias: Floats
    cells: Cells | None = None

    @classmethod
    def build(
        cls, factors: Floats, bias: Floats, listeners: Floats, *, dim: int = HEAD_DIM
    ) -> CandidateIndex:
        """Return the index with the least expected squared error of the dot product.

        With A and Q the second moments of listeners and tracks, the directions are the leading
        eigenvectors V of A^(1/2) Q A^(1/2): tracks become q A^(1/2) V, listeners a A^(-1/2) V.

        Args:
            factors: of the tracks, shape (n_tracks, dim).
            bias: constant of each track, shape (n_tracks,).
            listeners: a sample of listeners' weighted factors, shape (n, dim).
            dim: numbers kept of each track.
        """
        n_factors = factors.shape[1]
        moment = listeners.T.astype(np.float64) @ listeners / max(len(listeners), 1)
        moment.flat[:: n_factors + 1] += 1e-6 * np.trace(moment) / n_factors + 1e-12
        values, vectors = np.linalg.eigh(moment)
        root = vectors * np.sqrt(values) @ vectors.T
        inverse_root = vectors / np.sqrt(values) @ vectors.T
        spread = np.zeros((n_factors, n_factors))
        for begin in range(0, len(factors), 1 << 16):
            block = factors[begin : begin + (1 << 16)].astype(np.float64)
            spread += block.T @ block
        directions = np.linalg.eigh(root @ spread @ root)[1][:, ::-1][:, :dim]
        short = factors @ (root @ directions).astype(np.float32)
        return cls(short, (inverse_root @ directions).astype(np.float32), bias)

    def candidates(self, weighted_factors: Floats, *, n: int) -> NDArray[np.intp]:
        """Return the rows of about the `n` largest approximate scores, in rising order.

        With cells, of those in the cells that promise most: some are missed, `recall` says how
        many.
        """
        query = weighted_factors @ self.basis
        if self.cells is None:
            scores = self.tracks @ query
            scores += self.bias
            return about_largest(scores, n)
        rows = self.cells.rows(query, at_least=n)
        scores = self.tracks[rows] @ query
        scores += self.bias[rows]
        return np.sort(rows[about_largest(scores, n)])

    def with_cells(self, rng: np.random.Generator, *, n_cells: int | None = None) -> CandidateIndex:
        """Return the same index, which looks at some of the tracks instead of all of them."""
        return replace(self, cells=Cells.build(self.tracks, self.bias, rng, n_cells=n_cells))

    def recall(self, weighted_factors: Floats, *, k: int, n: int) -> float:
        """Return which share of the exact `k` best short scores are among `n` candidates.

        Args:
            weighted_factors: of some listeners, shape (n_listeners, dim).
            k: length of the list that matters.
            n: candidates asked for.
        """
        whole = replace(self, cells=None)
        found = []
        for listener in weighted_factors:
            scores = self.tracks @ (listener @ whole.basis) + self.bias
            best = np.argpartition(scores, len(scores) - k)[-k:]
            found.append(np.isin(best, self.candidates(listener, n=n)).mean())
        return float(np.mean(found))


SHARE_PROBED = 0.05
"""Share of the tracks that a search with cells looks at."""

_SAMPLE_PER_CELL = 64
_ROUNDS = 8
_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False)
class Cells:
    """Tracks grouped by direction: an inverted file (Jégou et al., TPAMI 2011), without codes.

    A search ranks the cells by the score of their centroid, as if it were a track, and looks at
    the tracks of the best cells only.

    Attributes:
        centroids: mean of each cell's short vectors and biases, shape (n_cells, head_dim + 1).
        order: rows of the tracks, cell by cell, shape (n_tracks,).
        starts: the tracks of cell c are ``order[starts[c]:starts[c + 1]]``, shape (n_cells + 1,).
    """

    centroids: Floats
    order: NDArray[np.int32]
    starts: NDArray[np.int64]

    @classmethod
    def build(
        cls, tracks: Floats, bias: Floats, rng: np.random.Generator, *, n_cells: int | None = None
    ) -> Cells:
        """Return cells by k-means on a sample, O(n_tracks * n_cells * head_dim).

        Args:
            tracks: short vectors, shape (n_tracks, head_dim).
            bias: constant of each track, shape (n_tracks,).
            rng: draws the sample and the first centroids.
            n_cells: by default the square root of the number of tracks.
        """
        n_tracks = len(tracks)
        n_cells = n_cells or max(1, round(n_tracks**0.5))
        points = np.column_stack([tracks, bias]).astype(np.float32)
        sample = points[
            rng.choice(n_tracks, min(n_tracks, _SAMPLE_PER_CELL * n_cells), replace=False)
        ]
        centroids = sample[rng.choice(len(sample), min(n_cells, len(sample)), replace=False)]
        for _ in range(_ROUNDS):
            nearest = _nearest(sample, centroids)
            sums = np.zeros(centroids.shape)
            np.add.at(sums, nearest, sample)
            counts = np.bincount(nearest, minlength=len(centroids))
            filled = counts > 0  # an empty cell stays where it is
            centroids = centroids.copy()
            centroids[filled] = (sums[filled] / counts[filled, None]).astype(np.float32)
        cell = _nearest(points, centroids)
        starts = np.zeros(len(centroids) + 1, np.int64)
        np.cumsum(np.bincount(cell, minlength=len(centroids)), out=starts[1:])
        return cls(centroids, np.argsort(cell, kind="stable").astype(np.int32), starts)

    def rows(self, query: Floats, *, at_least: int) -> NDArray[np.intp]:
        """Return the tracks of the cells that promise most.

        Args:
            query: a listener's short vector, shape (head_dim,).
            at_least: how many tracks; `SHARE_PROBED` of all where that is more.
        """
        wanted = max(at_least, int(SHARE_PROBED * len(self.order)))
        best = np.argsort(-(self.centroids[:, :-1] @ query + self.centroids[:, -1]), kind="stable")
        sizes = np.diff(self.starts)[best]
        enough = int(np.searchsorted(np.cumsum(sizes), wanted)) + 1
        parts = [self.order[self.starts[c] : self.starts[c + 1]] for c in best[:enough]]
        rows: NDArray[np.intp] = np.concatenate(parts).astype(np.intp)
        return rows


def _nearest(points: Floats, centroids: Floats) -> NDArray[np.intp]:
    """Return the nearest centroid of each point by Euclidean distance, a block at a time."""
    half = (centroids**2).sum(axis=1) / 2
    nearest = np.empty(len(points), np.intp)
    for begin in range(0, len(points), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        nearest[block] = np.argmax(points[block] @ centroids.T - half, axis=1)
    return nearest


def about_largest(scores: Floats, n: int) -> NDArray[np.intp]:
    """Return the rows of the largest scores, about `n` of them, never fewer than half of that.

    The threshold comes from every 16th score, which costs a tenth of an exact partition.
    """
    if n >= len(scores):
        return np.arange(len(scores))
    sample = scores[::16]
    kept = min(max(n // 16, 1), len(sample))
    threshold = np.partition(sample, len(sample) - kept)[len(sample) - kept]
    rows: NDArray[np.intp] = np.flatnonzero(scores >= threshold)
    if not n / 2 <= len(rows) <= 2 * n:
        rows = np.sort(np.argpartition(scores, len(scores) - n)[-n:])
    return rows
