import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.core.candidates import CandidateIndex, about_largest


@given(n=st.integers(1, 400), seed=st.integers(0, 50))
def test_about_the_largest_are_found_and_nothing_larger_is_left_out(n, seed):
    scores = np.random.default_rng(seed).normal(size=1000)
    rows = about_largest(scores, n)
    assert n / 2 <= len(rows) <= 2 * n
    left = np.setdiff1d(np.arange(1000), rows)
    assert scores[rows].min() >= scores[left].max()


def test_scores_that_are_all_alike_do_not_return_the_whole_catalogue():
    assert len(about_largest(np.zeros(1000), 50)) == 50


def test_as_many_numbers_as_factors_lose_nothing():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(500, 6)).astype(np.float32)
    bias = rng.normal(size=500).astype(np.float32)
    listeners = rng.normal(size=(100, 6)).astype(np.float32)
    index = CandidateIndex.build(factors, bias, listeners, dim=6)
    short = index.tracks @ (listeners[0] @ index.basis)
    assert short == pytest.approx(factors @ listeners[0], abs=1e-3)


def test_the_numbers_kept_are_those_along_which_scores_vary():
    rng = np.random.default_rng(1)
    spread = np.array([3, 2, 1, 0.1, 0.1, 0.1])
    factors = (rng.normal(size=(4000, 6)) * spread).astype(np.float32)
    listeners = (rng.normal(size=(200, 6)) * spread).astype(np.float32)
    index = CandidateIndex.build(factors, np.zeros(4000, np.float32), listeners, dim=3)
    found = index.candidates(listeners[0], n=300)
    best = np.argsort(-(factors @ listeners[0]))[:100]
    assert np.isin(best, found).mean() == 1.0


def clustered(n_tracks=4000, dim=16, n_groups=40, seed=0):
    """Tracks around some directions, as learned embeddings lie, and listeners who like one each."""
    rng = np.random.default_rng(seed)
    groups = rng.normal(size=(n_groups, dim))
    tracks = groups[rng.integers(n_groups, size=n_tracks)] + 0.4 * rng.normal(size=(n_tracks, dim))
    listeners = groups[rng.integers(n_groups, size=30)] + 0.4 * rng.normal(size=(30, dim))
    bias = 0.3 * rng.normal(size=n_tracks)
    return tracks.astype("f4"), bias.astype("f4"), listeners.astype("f4")


def test_every_track_is_in_one_cell():
    tracks, bias, listeners = clustered()
    index = CandidateIndex.build(tracks, bias, listeners, dim=16)
    cells = index.with_cells(np.random.default_rng(0)).cells
    assert sorted(cells.order.tolist()) == list(range(len(tracks)))
    assert cells.starts[0] == 0
    assert cells.starts[-1] == len(tracks)
    assert (np.diff(cells.starts) >= 0).all()


def test_cells_look_at_a_part_of_the_tracks_and_state_what_they_miss():
    tracks, bias, listeners = clustered()
    exact = CandidateIndex.build(tracks, bias, listeners, dim=16)
    index = exact.with_cells(np.random.default_rng(0))
    query = listeners[0] @ index.basis
    assert len(index.cells.rows(query, at_least=100)) < 0.2 * len(tracks)
    assert exact.recall(listeners, k=10, n=200) == 1
    assert 0.9 <= index.recall(listeners, k=10, n=200) <= 1


def test_all_cells_together_are_the_exact_scan():
    tracks, bias, listeners = clustered(500)
    exact = CandidateIndex.build(tracks, bias, listeners, dim=16)
    index = exact.with_cells(np.random.default_rng(0), n_cells=1)
    for listener in listeners:
        best = exact.candidates(listener, n=20)
        assert set(index.candidates(listener, n=len(tracks))) == set(range(len(tracks)))
        assert set(best) <= set(index.candidates(listener, n=500))
