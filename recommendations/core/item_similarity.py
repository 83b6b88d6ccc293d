"""Item-to-item weights in closed form: EASE, and its form with a penalty that grows with counts.

EASE (Steck, WWW 2019) regresses every track on all others, B = I - P / diag(P) with
P = (X'X + Lambda)^-1.  With Lambda = lambda + mu * count it is the dropout-regularized linear
autoencoder (RDLAE; Moon et al., SIGIR 2023).  With fewer listeners than tracks P comes from the
listeners' Gram matrix (Woodbury), and only blocks of B exist at any time: the strongest weights per
target track are kept, those that speak against a track among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from recommendations.core.arrays import AnyRows, Floats, SparseRows, Table, top_k

_BLOCK = 1024  # target tracks whose dense weights exist at once
_SMALLEST = 1e-6  # below this, half precision, which large catalogues are held in, has no digits


@dataclass(frozen=True)
class SimilarityConfig:
    """Settings of the item-to-item model.

    Attributes:
        penalty: lambda, the constant part of the ridge penalty.
        penalty_per_count: mu, the part per listener of the track.
        neighbours: weights kept for each target track, at least.
        room: weights kept in all; a catalogue small enough keeps more neighbours for it.  In a
            dense data set (MovieLens) the long tail of small weights matters, and in a large
            catalogue there is hardly any.
        max_tracks: where both tracks and listeners outnumber this, only so many of the most heard
            tracks take part, since the inverse costs the cube of the smaller number.
    """

    penalty: float = 100.0
    penalty_per_count: float = 0.5
    neighbours: int = 32
    room: int = 3_200_000
    max_tracks: int = 20_000


def affinity_matrix(
    user_rows: AnyRows,
    track_rows: AnyRows,
    values: NDArray[np.floating],
    shape: tuple[int, int],
) -> sparse.csr_matrix:
    """Return the matrix X of affinities, a row per listener."""
    return sparse.csr_matrix((values.astype(np.float32), (user_rows, track_rows)), shape=shape)


def item_weights(affinities: sparse.csr_matrix, config: SimilarityConfig) -> SparseRows:
    """Return B, a row per history track and a column per target, the strongest of each column.

    The strongest are the largest without regard to sign.
    O(m^3) time and O(m^2) memory with m the smaller of listeners and tracks.
    """
    n_users, n_tracks = affinities.shape
    counts = np.asarray((affinities != 0).sum(axis=0)).ravel()
    if min(n_users, n_tracks) > config.max_tracks:
        kept = np.sort(np.argsort(-counts, kind="stable")[: config.max_tracks])
    else:
        kept = np.flatnonzero(counts > 0)
    matrix = affinities[:, kept]
    penalty = (config.penalty + config.penalty_per_count * counts[kept]).astype(np.float32)
    if n_users < len(kept):
        blocks = _dual_blocks(matrix, penalty)
    else:
        blocks = _primal_blocks(matrix, penalty)
    k = min(max(config.neighbours, config.room // n_tracks), len(kept))
    rows_of: list[NDArray[np.intp]] = []
    values_of: list[Floats] = []
    targets_of: list[NDArray[np.intp]] = []
    for begin, block in blocks:  # block: (width, len(kept)), a target's own weight already zero
        strongest = np.argpartition(-np.abs(block), k - 1, axis=1)[:, :k]
        values = np.take_along_axis(block, strongest, axis=1)
        real = np.abs(values) > _SMALLEST
        rows_of.append(kept[strongest[real]])
        values_of.append(values[real])
        targets = np.broadcast_to(kept[begin : begin + len(block), None], strongest.shape)
        targets_of.append(targets[real])
    weights = sparse.csr_matrix(
        (np.concatenate(values_of), (np.concatenate(rows_of), np.concatenate(targets_of))),
        shape=(n_tracks, n_tracks),
    )
    return SparseRows(
        starts=weights.indptr.astype(np.int64),
        columns=weights.indices.astype(np.int32),
        values=weights.data.astype(np.float32, copy=False),
        n_columns=n_tracks,
    )


def _primal_blocks(matrix: sparse.csr_matrix, penalty: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield blocks of B' by the inverse of the tracks' Gram matrix, of the tracks' size."""
    others = matrix.T.tocsr()
    gram = np.empty((matrix.shape[1], matrix.shape[1]), np.float32)
    for begin in range(0, len(gram), _BLOCK):
        gram[begin : begin + _BLOCK] = (others[begin : begin + _BLOCK] @ matrix).toarray()
    gram.flat[:: len(gram) + 1] += penalty
    inverse = _inverse_in_place(gram)
    diagonal = np.diag(inverse).copy()
    for begin in range(0, len(inverse), _BLOCK):
        # P is symmetric: a target's column is its row.
        block = inverse[begin : begin + _BLOCK] / -diagonal[begin : begin + _BLOCK, None]
        _clear_diagonal(block, begin)
        yield begin, block


def _dual_blocks(matrix: sparse.csr_matrix, penalty: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield blocks of B' by Woodbury.

    P = L^-1 - L^-1 X' K X L^-1 with K = (I + X L^-1 X')^-1, of the listeners' size.
    """
    scaled = matrix.multiply(1 / penalty).tocsr().astype(np.float32)  # X L^-1
    system = (scaled @ matrix.T).toarray().astype(np.float32, copy=False)
    system.flat[:: len(system) + 1] += 1
    kernel = _inverse_in_place(system)
    tracks = scaled.T.tocsr()
    for begin in range(0, matrix.shape[1], _BLOCK):
        half = tracks[begin : begin + _BLOCK] @ kernel
        block = np.ascontiguousarray((tracks @ half.T).T)
        own = np.arange(len(block))
        diagonal = 1 / penalty[begin : begin + len(block)] - block[own, begin + own]
        block /= diagonal[:, None]
        _clear_diagonal(block, begin)
        yield begin, block


def _inverse_in_place(matrix: Floats) -> Floats:
    """Return the inverse of a symmetric, positive definite matrix, in its memory.

    By Cholesky's factors: n^3 / 3 operations to factor and 2 n^3 / 3 to invert, where solving for
    the identity, as numpy does, takes 8 n^3 / 3 (counts as in LAPACK working note 41) and copies.

    Raises:
        LinAlgError: it is not positive definite in single precision.
    """
    # In LAPACK's order of memory the lower triangle is what numpy calls the upper one.
    factor, refused = lapack.spotrf(matrix.T, lower=True, overwrite_a=True, clean=False)
    if refused:
        raise np.linalg.LinAlgError("the penalty is too small beside the counts")
    inverse: Floats = lapack.spotri(factor, lower=True, overwrite_c=True)[0].T
    for begin in range(0, len(inverse), _BLOCK):
        end = begin + _BLOCK
        corner = inverse[begin:end, begin:end]
        corner[...] = np.triu(corner) + np.triu(corner, 1).T
        inverse[end:, begin:end] = inverse[begin:end, end:].T
    return inverse


def _clear_diagonal(block: Floats, begin: int) -> None:
    own = np.arange(len(block))
    block[own, begin + own] = 0


def similar_tracks(
    weights: SparseRows, embeddings: Table, track_row: int, *, k: int
) -> tuple[NDArray[np.intp], Floats]:
    """Return the `k` tracks most alike and how much, best first, itself excluded.

    Tracks that this one makes more likely come first, scored 1 + weight; if those are fewer than
    `k`, others follow by the cosine of their embeddings (which come from content for tracks that
    nobody heard), at most 1.
    """
    columns, values = weights.row(track_row)
    columns, values = columns[values > 0], values[values > 0]
    if len(columns) >= k:
        strongest = top_k(values, k)
        return columns[strongest].astype(np.intp), 1 + values[strongest]
    matrix = embeddings.astype(np.float32, copy=False)
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    scores = matrix @ matrix[track_row] / np.maximum(norms * norms[track_row], 1e-9)
    scores[columns] = 1 + values
    scores[track_row] = -np.inf
    rows = top_k(scores, k)
    return rows, scores[rows]


def log_popularity(counts: NDArray[np.integer], n_users: int) -> Floats:
    """Return the log of the smoothed share of listeners, (count + 1) / (n_users + 2), per track."""
    return np.log((np.asarray(counts) + 1) / (n_users + 2)).astype(np.float32)
