import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.core.rules import SlateRules, choose_slate, maximal_marginal_relevance


def choose(scores, rules, *, banned=(), soft=(), artists=None, vectors=None, seed=0):
    n = len(scores)

    def mask(rows):
        result = np.zeros(n, bool)
        result[list(rows)] = True
        return result

    table = np.eye(n) if vectors is None else np.asarray(vectors, float)
    return choose_slate(
        np.asarray(scores, np.float32),
        rules,
        banned=mask(banned),
        soft_bans=[(name, mask(rows)) for name, rows in soft],
        artists=np.arange(n) if artists is None else np.asarray(artists),
        vectors=lambda rows: table[rows],
        rng=np.random.default_rng(seed),
    )


def test_best_scores_come_first_and_ties_go_to_the_lower_row():
    slate = choose([1, 5, 3, 5], SlateRules(k=3))
    assert slate.rows.tolist() == [1, 3, 2]
    assert slate.relaxed is None


def test_an_artist_has_at_most_two_tracks():
    slate = choose([9, 8, 7, 1, 0], SlateRules(k=3), artists=[0, 0, 0, 1, 2])
    assert slate.rows.tolist() == [0, 1, 3]


def test_the_artist_rule_gives_way_before_the_slate_is_short():
    slate = choose([9, 8, 7], SlateRules(k=3), artists=[0, 0, 0])
    assert slate.rows.tolist() == [0, 1, 2]
    assert slate.relaxed == "max_per_artist"


def test_soft_bans_give_way_last_named_first():
    rules = SlateRules(k=2)
    slate = choose([9, 8, 7], rules, soft=[("heard", [0]), ("genres", [1])])
    assert slate.rows.tolist() == [1, 2]
    assert slate.relaxed == "genres"


def test_what_is_banned_never_comes_back():
    slate = choose([9, 8], SlateRules(k=2), banned=[0])
    assert slate.rows.tolist() == [1]


def test_a_track_without_a_score_comes_last_but_comes():
    slate = choose([-np.inf, np.nan, 1], SlateRules(k=3))
    assert slate.rows.tolist() == [2, 0, 1]


def test_the_artist_rule_looks_past_the_first_candidates():
    # One artist fills the whole pool; the others lie far below.
    scores = np.r_[np.arange(100, 40, -1), [1, 2, 3]]
    slate = choose(scores, SlateRules(k=4), artists=[0] * 60 + [1, 2, 3])
    assert slate.rows.tolist() == [0, 1, 62, 61]
    assert slate.relaxed is None


def test_diversity_prefers_the_unlike_of_two_good_tracks():
    vectors = [[1, 0], [1, 0], [0, 1]]
    order = maximal_marginal_relevance(
        np.array([1.0, 0.99, 0.9], np.float32), np.array(vectors, float), k=3, diversity=0.5
    )
    assert order.tolist() == [0, 2, 1]


def test_only_the_explored_places_are_drawn():
    scores = np.arange(100, 0, -1)
    slates = [choose(scores, SlateRules(k=10, n_explored=2), seed=seed) for seed in range(20)]
    assert {tuple(slate.rows[:8]) for slate in slates} == {tuple(range(8))}
    assert len({tuple(slate.rows[8:]) for slate in slates}) > 5
    assert slates[0].explored.tolist() == [False] * 8 + [True] * 2


@pytest.mark.parametrize(
    "values", [{"k": 0}, {"k": 1, "max_per_artist": 0}, {"k": 1, "diversity": 1.5}]
)
def test_rules_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match="must"):
        SlateRules(**values)


@given(
    scores=st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=60),
    k=st.integers(1, 12),
    diversity=st.sampled_from([0.0, 0.3, 1.0]),
    n_artists=st.integers(1, 10),
    seed=st.integers(0, 5),
)
def test_a_slate_is_full_and_without_repeats(scores, k, diversity, n_artists, seed):
    artists = np.arange(len(scores)) % n_artists
    slate = choose(scores, SlateRules(k=k, diversity=diversity), artists=artists, seed=seed)
    assert len(set(slate.rows.tolist())) == len(slate.rows) == min(k, len(scores))
    if slate.relaxed is None:
        assert np.bincount(artists[slate.rows]).max() <= 2
