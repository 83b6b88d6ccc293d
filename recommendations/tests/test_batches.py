import numpy as np
import pytest

from recommendations.core.fold_in import FoldIn
from recommendations.core.interactions import Interactions
from recommendations.training.batches import BatchConfig, batches

N_USERS, N_TRACKS = 5, 40


@pytest.fixture(scope="module")
def drawn():
    """Histories, and an epoch of batches drawn from them."""
    rng = np.random.default_rng(0)
    pairs = [(u, t) for u in range(N_USERS) for t in rng.choice(N_TRACKS, 8, replace=False)]
    users, tracks = np.array(pairs).T
    histories = Interactions.build(
        users,
        tracks,
        n_users=N_USERS,
        n_tracks=N_TRACKS,
        preference=rng.choice([0.0, 1.0], len(pairs)),
    ).by_user()
    embeddings = rng.normal(size=(N_TRACKS, 3)).astype(np.float32)
    fold_in = FoldIn(embeddings, embeddings.T @ embeddings, np.zeros(3, np.float32), 0.1, 0.01)
    config = BatchConfig(users_per_batch=N_USERS, negatives=30, target_share=0.25)
    epoch = batches(histories, fold_in, 0.6, config, seed=3, epoch=1)
    return histories, [{name: part.numpy() for name, part in batch.items()} for batch in epoch]


def histories_in(batch):
    """Return the tracks given and asked of each listener of a batch."""
    return [
        (
            batch["history_rows"][batch["history_owner"] == i],
            batch["target_rows"][batch["target_owner"] == i],
        )
        for i in range(len(batch["embedding"]))
    ]


def test_each_history_is_split_into_what_is_given_and_what_is_asked(drawn):
    histories, (batch,) = drawn
    whole = {tuple(sorted(histories.of(user)[0].tolist())) for user in range(N_USERS)}
    for given, asked in histories_in(batch):
        assert len(asked) == 2
        assert not set(given) & set(asked)
        assert tuple(sorted([*given.tolist(), *asked.tolist()])) in whole


def test_a_track_that_the_listener_liked_is_no_negative(drawn):
    histories, (batch,) = drawn
    negatives = batch["negative_rows"]
    masked = 0
    for (given, asked), allowed in zip(histories_in(batch), batch["negative_allowed"], strict=True):
        mine = set(given.tolist()) | set(asked.tolist())
        user = next(u for u in range(N_USERS) if set(histories.of(u)[0].tolist()) == mine)
        rows, preferences = histories.of(user)
        liked = rows[preferences >= 0.5]
        assert allowed.tolist() == (~np.isin(negatives, liked)).tolist()
        masked += np.count_nonzero(~allowed)
    assert masked > 0


@pytest.mark.parametrize(
    ("n_users", "in_a_step"), [(1, 64), (64 * 192, 64), (100_000, 521), (10_000_000, 1024)]
)
def test_of_very_many_listeners_more_are_in_a_step(n_users, in_a_step):
    assert BatchConfig().for_listeners(n_users).users_per_batch == in_a_step
