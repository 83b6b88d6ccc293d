"""What training chooses on validation."""

from dataclasses import replace

import numpy as np
import pytest

from recommendations.core.interactions import Interactions, split_validation
from recommendations.core.item_similarity import SimilarityConfig
from recommendations.training.selection import SelectionConfig, choose_similarity
from recommendations.training.validation import ValidationSlice

N_USERS, N_TRACKS = 80, 60


@pytest.fixture(scope="module")
def listening():
    """Listeners who like even tracks, and listeners who like odd ones, as two parts of it."""
    rng = np.random.default_rng(0)
    pairs = [
        (user, 2 * track + user % 2)
        for user in range(N_USERS)
        for track in rng.choice(N_TRACKS // 2, 12, replace=False)
    ]
    users, tracks = np.array(pairs).T
    everything = Interactions.build(
        users, tracks, n_users=N_USERS, n_tracks=N_TRACKS, preference=np.ones(len(pairs))
    )
    return split_validation(everything, rng=rng, per_user=2, max_users=N_USERS, newest=False)


def chosen(listening, *, tried_on):
    """Return the weights chosen, and the score of the one trial."""
    train, held_out = listening
    reports = []
    _, weights = choose_similarity(
        train,
        ValidationSlice.of(train, held_out),
        base=SimilarityConfig(),
        selection=replace(
            SelectionConfig(), item_to_item=((5.0, 0.0),), item_to_item_tracks=tried_on
        ),
        progress=reports.append,
    )
    return weights, reports[0]["validation"]


def test_penalties_tried_on_the_most_heard_tracks_serve_all_of_them(listening):
    weights, score = chosen(listening, tried_on=N_TRACKS)
    again, score_of_few = chosen(listening, tried_on=10)
    assert score_of_few < score
    assert np.array_equal(again.columns, weights.columns)
    assert np.array_equal(again.values, weights.values)
