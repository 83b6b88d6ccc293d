import numpy as np

from recommendations.core.rule_trace import fates
from recommendations.core.rules import Slate, SlateRules, choose_slate

ARTISTS = np.array([0, 0, 0, 1, 2, 3, 4, 5])
SCORES = np.array([9, 8, 7, 6, 5, 4, 3, 2], np.float32)


def trace(*, k=3, banned=(), heard=(), n=8, relaxed_heard=False):
    ban = np.isin(np.arange(8), banned)
    soft = [("heard", np.isin(np.arange(8), heard))]
    slate = choose_slate(
        SCORES,
        SlateRules(k=k),
        banned=ban,
        soft_bans=soft,
        artists=ARTISTS,
        vectors=lambda rows: np.zeros((len(rows), 1)),
        rng=np.random.default_rng(0),
    )
    found = fates(SCORES, slate, banned=ban, soft_bans=soft, artists=ARTISTS, max_per_artist=2, n=n)
    return {fate.row: fate for fate in found}


def test_each_rule_that_takes_a_track_away_is_named():
    found = trace(banned=[0], heard=[3], n=6)
    assert found[0].rule == "hidden or excluded"
    assert found[3].rule == "heard of late"
    assert found[5].rule == "ranked too low"
    assert [row for row in found if found[row].place] == [1, 2, 4]


def test_a_third_track_by_one_artist_says_why_it_is_not_there():
    found = trace()
    assert found[2].rule == "more than 2 by this artist"
    assert found[2].place is None
    assert (found[3].place, found[3].rule) == (3, "kept by every rule")


def test_the_slates_own_tracks_are_traced_however_low_they_rank():
    slate = Slate(np.array([0, 7]), np.array([False, True]), None)
    found = fates(
        SCORES,
        slate,
        banned=np.zeros(8, bool),
        soft_bans=[],
        artists=ARTISTS,
        max_per_artist=2,
        n=2,
    )
    assert [(fate.row, fate.rank, fate.place) for fate in found] == [
        (0, 1, 1),
        (1, 2, None),
        (7, 8, 2),
    ]
    assert found[-1].rule == "drawn to explore"


def test_a_rule_that_gave_way_is_blamed_for_nothing():
    found = trace(k=8, heard=[5])
    assert found[5].place is not None
    assert {fate.rule for fate in found.values()} == {"kept by every rule"}
