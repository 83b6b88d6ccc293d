"""The first stage over a catalogue too large to score exactly: a short dot product.

The factorization branch is a dot product of perhaps a hundred numbers a track, and reading them for
a million tracks is bound by memory.  Its best approximation by fewer numbers keeps the directions
along which scores vary most over listeners and tracks together, and a scan of those finds the
candidates that the network then scores.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    tracks: Floats
    basis: Floats
    bias: Floats

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
        """Return the rows of about the `n` largest approximate scores, in rising order."""
        scores = self.tracks @ (weighted_factors @ self.basis)
        scores += self.bias
        return about_largest(scores, n)


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
