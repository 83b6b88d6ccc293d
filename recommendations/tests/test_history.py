from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.core.history import CAPACITY, History


def respond(*responses):
    history = History.empty()
    for track, preference, at, explicit in responses:
        history = history.respond(track, preference, at, explicit=explicit)
    return history


def test_packing_loses_nothing():
    history = History.empty().respond(7, 0.75, 1e9, rating=4, explicit=True).respond(8, 0.5, 2e9)
    again = History.from_bytes(history.to_bytes())
    for column in ("track", "preference", "rating", "heard_at", "said_at"):
        np.testing.assert_array_equal(again.records[column], history.records[column])


# What the release before this one knows of a record, and what it has left in the database.
BEFORE = np.dtype(
    [
        ("track", "<i8"),
        ("preference", "<f4"),
        ("rating", "<f4"),
        ("heard_at", "<f8"),
        ("explicit", "?"),
    ]
)


def test_what_the_release_before_has_packed_says_when_a_track_was_last_heard():
    rows = [(7, 0.25, 2.0, 10.0, True), (8, 0.5, np.nan, 20.0, False)]
    history = History.from_bytes(np.array(rows, BEFORE).tobytes())
    assert history.tracks.tolist() == [7, 8]
    np.testing.assert_array_equal(history.records["said_at"], [10.0, np.nan])
    assert history.respond(7, 1.0, 9.0, explicit=True).preferences.tolist() == [0.25, 0.5]
    assert history.to_bytes() == np.array(rows, BEFORE).tobytes()


def test_the_release_before_reads_what_it_knows_of():
    history = respond((7, 0.0, 10.0, True), (8, 0.5, 20.0, False), (7, 1.0, 30.0, False))
    rows = np.frombuffer(history.to_bytes(), BEFORE)
    known = rows[rows["track"] > 0]
    assert known[["track", "preference", "heard_at", "explicit"]].tolist() == [
        (8, 0.5, 20.0, False),
        (7, 0.0, 30.0, True),
    ]
    # It sorts them by time, and goes on from there.
    again = History.from_bytes(np.sort(rows, order="heard_at").tobytes())
    assert again.to_bytes() == history.to_bytes()


def test_what_was_said_outweighs_what_was_played():
    history = respond((1, 0.0, 10.0, True), (1, 1.0, 20.0, False))
    assert history.preferences.tolist() == [0.0]
    assert history.tracks[history.heard_since(20.0)].tolist() == [1]


def test_the_later_of_two_ratings_counts_whichever_arrives_first():
    early, late = (1, 0.25, 10.0, True), (1, 1.0, 20.0, True)
    assert respond(early, late).preferences.tolist() == [1.0]
    assert respond(late, early).preferences.tolist() == [1.0]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_play_in_between_or_after_makes_no_rating_older(order):
    said = [(1, 0.25, 100.0, True), (1, 0.5, 300.0, False), (1, 1.0, 200.0, True)]
    history = respond(*(said[number] for number in order))
    assert history.preferences.tolist() == [1.0]
    assert history.records["heard_at"].tolist() == [300.0]


def test_plays_are_averaged():
    assert respond((1, 1.0, 1.0, False), (1, 0.5, 2.0, False)).preferences.tolist() == [0.75]


def test_the_oldest_tracks_give_way():
    history = History.build(
        np.arange(CAPACITY), np.ones(CAPACITY), np.arange(CAPACITY, dtype=float)
    ).respond(5000, 1.0, 1e6)
    assert len(history) == CAPACITY
    assert 0 not in history.tracks
    assert history.tracks[-1] == 5000


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.floats(0, 1, width=32), st.floats(0, 100), st.booleans()),
        max_size=30,
    )
)
def test_each_track_stands_once_in_order_of_hearing(responses):
    history = respond(*responses)
    assert set(history.tracks) == {track for track, *_ in responses}
    assert len(set(history.tracks)) == len(history)
    assert (np.diff(history.records["heard_at"]) >= 0).all()


RESPONSES = st.lists(
    st.tuples(
        st.integers(1, 6),  # few tracks, so that they meet again
        st.floats(0, 1, width=32),
        st.sampled_from([1.0, 2.0, 2.0, 3.0, 4.0]),
        st.sampled_from([None, 1.0, 5.0]),
        st.booleans(),
    ),
    max_size=30,
)


def one_by_one(history, responses):
    """Respond as requests do: each unpacks what the one before has packed."""
    for track, preference, at, rating, explicit in responses:
        history = History.from_bytes(history.to_bytes())
        history = history.respond(track, preference, at, rating=rating, explicit=explicit)
    return history


@given(RESPONSES, RESPONSES)
def test_a_replay_is_one_response_after_another(before, responses):
    start = one_by_one(History.empty(), before)
    assert start.replay(responses).to_bytes() == one_by_one(start, responses).to_bytes()


@given(RESPONSES, st.integers(1, 5))
def test_a_replay_that_overflows_drops_the_same_tracks(responses, capacity):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recommendations.core.history.CAPACITY", capacity)
        replayed = History.empty().replay(responses)
        assert replayed.to_bytes() == one_by_one(History.empty(), responses).to_bytes()
