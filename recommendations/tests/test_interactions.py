import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.core.interactions import (
    Interactions,
    preference_from_plays,
    split_validation,
)


def make_interactions(pairs, **columns):
    users, tracks = np.array(pairs).reshape(-1, 2).T
    return Interactions.build(users, tracks, n_users=10, n_tracks=10, **columns)


def test_preference_comes_from_the_rating_where_there_is_one():
    made = make_interactions([(0, 1), (0, 2), (0, 3)], rating=[1, 3, np.nan])
    assert made.preference.tolist() == [0, 0.5, 1]


def test_of_repeated_pairs_the_last_counts():
    made = make_interactions([(0, 1), (0, 2), (0, 1)], preference=[0, 0.25, 1])
    assert len(made) == 2
    assert dict(zip(made.track_rows.tolist(), made.preference.tolist(), strict=True)) == {
        1: 1,
        2: 0.25,
    }


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"rating": [7], "preference": [1]}, "rating must lie in"),
        ({"preference": [1.5]}, "preference must lie in"),
        ({"preference": [np.nan]}, "preference must lie in"),
        ({"weight": [0]}, "weight must be positive"),
        ({"time": [1, 2]}, "time has 2 values for 1 user_rows"),
    ],
)
def test_impossible_values_are_refused_by_name(columns, message):
    with pytest.raises(ValueError, match=message):
        make_interactions([(0, 1)], **columns)


def test_a_row_beyond_the_catalogue_is_refused():
    with pytest.raises(ValueError, match=r"track_rows must lie in \[0, 10\)"):
        make_interactions([(0, 10)])


def test_plays_count_by_their_rank_within_the_listener():
    users = np.array([0, 0, 0, 0, 1])
    plays = np.array([5, 1, 5, 900, 3])
    # Ranks 0.5, (1.5 + 2.5) / 2 twice, 3.5 of 4; the only one of listener 1 has rank 0.5 of 1.
    assert preference_from_plays(users, plays).tolist() == pytest.approx(
        [0.75, 0.5625, 0.75, 0.9375, 0.75]
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 50)), min_size=1, max_size=40))
def test_plays_keep_their_order_and_never_count_as_a_rejection(listens):
    users, plays = np.array(listens).T
    preference = preference_from_plays(users, plays)
    assert ((preference > 0.5) & (preference < 1)).all()
    for user in set(users):
        mine = users == user
        for a, b in zip(plays[mine], preference[mine], strict=True):
            assert ((plays[mine] > a) == (preference[mine] > b + 1e-7)).all()


def test_nobody_played_a_track_zero_times():
    with pytest.raises(ValueError, match="plays must be >= 1, got 0"):
        preference_from_plays(np.array([0]), np.array([0]))


def test_the_newest_pairs_are_held_out_where_times_are_known():
    made = make_interactions([(0, t) for t in range(5)], time=[3.0, 9.0, 1.0, 5.0, 4.0])
    train, held_out = split_validation(made, rng=np.random.default_rng(0), per_user=2, newest=True)
    assert sorted(held_out.track_rows.tolist()) == [1, 3]
    assert sorted(train.track_rows.tolist()) == [0, 2, 4]


@given(seed=st.integers(0, 1000), per_user=st.integers(1, 3))
def test_a_split_loses_nothing_and_leaves_every_listener_more_than_it_takes(seed, per_user):
    rng = np.random.default_rng(seed)
    made = make_interactions(rng.integers(0, 10, (40, 2)))
    train, held_out = split_validation(made, rng=rng, per_user=per_user, max_users=4)
    assert len(train) + len(held_out) == len(made)
    kept = np.bincount(train.user_rows, minlength=10)
    taken = np.bincount(held_out.user_rows, minlength=10)
    assert ((taken == 0) | ((taken <= per_user) & (kept > taken))).all()
    assert (taken > 0).sum() <= 4


def test_a_short_history_gives_up_fewer_pairs():
    made = make_interactions([(0, t) for t in range(9)] + [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)])
    _, held_out = split_validation(made, rng=np.random.default_rng(0), per_user=3)
    assert np.bincount(held_out.user_rows, minlength=3).tolist() == [3, 1, 0]


def test_histories_are_the_pairs_by_listener():
    made = make_interactions([(2, 1), (0, 3), (2, 0)], preference=[0.5, 1, 0.25])
    rows, preferences = made.by_user().of(2)
    assert dict(zip(rows.tolist(), preferences.tolist(), strict=True)) == {1: 0.5, 0: 0.25}
    assert len(made.by_user().of(1)[0]) == 0
