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
