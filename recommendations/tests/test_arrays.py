import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recommendations.core.arrays import SparseRows, top_k

MATRICES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    elements=st.sampled_from([0.0, 0.0, 1.0, -0.5, 2.0]),
)


def sparse(matrix: np.ndarray) -> SparseRows:
    rows, columns = matrix.nonzero()
    starts = np.zeros(len(matrix) + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=len(matrix)), out=starts[1:])
    return SparseRows(starts, columns.astype(np.int32), matrix[rows, columns], matrix.shape[1])


@given(matrix=MATRICES, data=st.data())
def test_sparse_rows_agree_with_the_dense_matrix(matrix, data):
    rows = np.array(
        data.draw(st.lists(st.integers(0, len(matrix) - 1), max_size=8)), dtype=np.int64
    )
    weights = np.linspace(-1, 1, len(rows)).astype(np.float32)
    vector = np.arange(matrix.shape[1], dtype=np.float32)
    held = sparse(matrix)
    total = held.take(rows).weighted_sum(weights)
    assert total.dense() == pytest.approx(weights @ matrix[rows], abs=1e-5)
    everything = np.arange(matrix.shape[1])
    assert total.at(everything) == pytest.approx(total.dense())
    columns = everything[::-2]
    assert held.block(rows, columns) == pytest.approx(matrix[rows][:, columns])
    assert held.halved().block(rows, columns) == pytest.approx(matrix[rows][:, columns])
    assert held.halved().take(rows).values.tolist() == held.take(rows).values.tolist()
    assert held.dot(vector) == pytest.approx(matrix @ vector, abs=1e-5)
    assert held.dot(vector, rows) == pytest.approx(matrix[rows] @ vector, abs=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_reading_rows_copies_nothing_but_them(dtype):
    held = sparse(np.eye(3, dtype=dtype))
    assert held.take(np.array([1])).columns.tolist() == [1]
    assert np.shares_memory(held._matrix.indices, held.columns)
    assert np.shares_memory(held._matrix.data, held.values)


def test_a_column_beyond_the_width_is_refused():
    with pytest.raises(ValueError, match=r"columns must lie in \[0, 2\), got 2"):
        SparseRows.from_lists([[0, 2]], 2)


def test_top_k_breaks_ties_by_row_and_never_returns_what_is_excluded():
    scores = np.array([1.0, 3.0, 3.0, -np.inf, 3.0])
    assert top_k(scores, 2).tolist() == [1, 2]
    assert top_k(scores, 10).tolist() == [1, 2, 4, 0]


@given(
    scores=hnp.arrays(np.float64, st.integers(1, 40), elements=st.integers(-5, 5)),
    k=st.integers(1, 45),
)
def test_top_k_is_a_stable_sort_cut_off(scores, k):
    assert top_k(scores, k).tolist() == np.argsort(-scores, kind="stable")[:k].tolist()
