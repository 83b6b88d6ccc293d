import numpy as np
import pytest

from recommendations.core.content import StatedTaste
from recommendations.core.ensemble import Moments
from recommendations.core.evidence import HistoryEvidence
from recommendations.core.serving_model import N_TOLD
from recommendations.tests.models import GENRES, make_model

NOBODY = (np.empty(0, np.int64), np.empty(0, np.float32))


def test_scores_of_some_rows_are_those_of_all():
    model = make_model(n_tracks=60)
    listener = model.listener(np.array([1, 5, 9]), np.array([1.0, 0.0, 0.75]))
    rows = np.array([50, 3, 17])
    for scores in (
        lambda r=None: model.neural_scores(listener.user_vector, r),
        lambda r=None: model.hybrid_scores(listener, r),
        lambda r=None: model.content_scores(listener, r),
    ):
        assert scores(rows) == pytest.approx(scores()[rows], abs=1e-4)


def test_a_rejection_lowers_what_the_history_says_of_a_track_alike():
    model = make_model(n_tracks=60)
    columns, values = model.similarity.row(1)
    alike = int(columns[np.argmax(values)])
    liked = model.item_scores(model.listener(np.array([1]), np.array([1.0])))
    rejected = model.item_scores(model.listener(np.array([1]), np.array([0.0])))
    assert rejected[alike] < 0 < liked[alike]


def test_one_response_changes_the_list():
    model = make_model(n_tracks=60)
    before = model.hybrid_scores(model.listener(np.array([1, 2]), np.ones(2)))
    after = model.hybrid_scores(model.listener(np.array([1, 2, 3]), np.array([1.0, 1.0, 0.0])))
    assert np.argsort(-before).tolist() != np.argsort(-after).tolist()


def test_a_listener_of_whom_nothing_is_known_gets_finite_scores_of_everything():
    model = make_model(n_tracks=60)
    scores = model.hybrid_scores(model.listener(*NOBODY))
    assert scores.shape == (60,)
    assert np.isfinite(scores).all()


def test_a_stated_taste_changes_the_vector_only_while_it_says_something():
    model = make_model()
    plain = model.fold_in(*NOBODY)
    assert model.fold_in(*NOBODY, StatedTaste()).tolist() == plain.tolist()
    jazz = model.fold_in(*NOBODY, StatedTaste(genres=("jazz",)))
    rock = model.fold_in(*NOBODY, StatedTaste(genres=("rock",)))
    assert not np.allclose(jazz, plain)
    assert not np.allclose(jazz, rock)


def test_expected_rating_and_confidence_stay_in_their_ranges():
    model = make_model(n_tracks=60)
    listener = model.listener(np.array([1, 2]), np.ones(2))
    rows = np.arange(60)
    ratings = model.expected_rating(listener, rows)
    confidence = model.confidence(listener, rows, ratings)
    assert ((ratings >= 1) & (ratings <= 5)).all()
    assert ((confidence >= 0) & (confidence <= 1)).all()


def test_the_evidence_is_of_the_history_and_the_strongest_first():
    model = make_model(n_tracks=60)
    history = np.array([1, 5, 9, 20, 33])
    listener = model.listener(history, np.array([1.0, 0.0, 0.75, 1.0, 1.0]))
    evidence = model.evidence(listener, np.array([3, 40])).nearest(limit=3)[1]
    assert {e.track_row for e in evidence} <= set(history.tolist())
    assert all(e.contribution > 0 for e in evidence)
    assert [e.contribution for e in evidence] == sorted(
        (e.contribution for e in evidence), reverse=True
    )
    assert model.evidence(model.listener(*NOBODY), np.array([40])).nearest(limit=2) == [[]]


def test_a_track_is_no_evidence_for_itself():
    model = make_model(n_tracks=60)
    history = np.array([1, 5, 9, 20, 33])
    evidence = model.evidence(model.listener(history, np.ones(5, np.float32)), history)
    for track, found in zip(history.tolist(), evidence.nearest(limit=2), strict=True):
        nearest = [e.track_row for e in found]
        assert track not in nearest
        assert len(nearest) <= 2


def told_of(listener, rows):
    return listener.outlooks(rows), listener.causes(rows)


def test_what_is_told_of_a_track_does_not_depend_on_what_was_told_before():
    model = make_model(n_tracks=200)
    history, liking = np.array([1, 5, 9, 20, 33]), np.array([1.0, 0.0, 0.75, 1.0, 1.0])
    asked = model.listener(history, liking)
    for begin in range(0, 200, 7):  # more than are kept, and each list shares most with the last
        rows = list(range(begin, min(begin + 20, 200)))
        outlooks, causes = told_of(asked, rows)
        fresh_outlooks, fresh_causes = told_of(model.listener(history, liking), rows)
        assert np.array(outlooks) == pytest.approx(np.array(fresh_outlooks), abs=1e-5)
        assert [[e.track_row for e in why] for why in causes] == [
            [e.track_row for e in why] for why in fresh_causes
        ]
    assert any(causes)


def test_what_was_told_of_a_track_is_not_worked_out_again(monkeypatch):
    model = make_model(n_tracks=60)
    listener = model.listener(np.array([1, 5, 9]), np.ones(3))
    told = told_of(listener, [3, 40, 7])

    def never(*_):
        raise AssertionError("worked out again")

    for name in ("expected_rating", "evidence"):
        monkeypatch.setattr(type(model), name, never)
    again = told_of(listener, [40, 3])
    assert again == tuple([answers[1], answers[0]] for answers in told)
    with pytest.raises(AssertionError, match="worked out again"):
        listener.causes([8])


def test_a_listener_keeps_what_was_told_of_a_few_tracks_only():
    model = make_model(n_tracks=300)
    listener = model.listener(np.array([1, 5, 9]), np.ones(3))
    for begin in range(0, 300, 10):
        told_of(listener, list(range(begin, begin + 10)))
    assert 0 < len(listener._outlooks) <= N_TOLD
    assert 0 < len(listener._causes) <= N_TOLD


def test_the_nearest_are_the_largest_positive_contributions_the_earlier_first_among_equals():
    contributions = np.array([[1, -1], [3, 0], [3, -2], [9, 9]], np.float32)
    evidence = HistoryEvidence(np.array([10, 11, 12, 13]), np.array([13, 20]), contributions)
    assert evidence.nearest(limit=2) == [[(11, 3), (12, 3)], [(13, 9)]]


def test_contributions_add_up_to_what_the_history_adds_to_the_scores():
    model = make_model(n_tracks=60)
    network = model.network
    history, liking = np.array([1, 5, 9, 20, 33]), np.array([1.0, 0.0, 0.75, 1.0, 1.0], np.float32)
    rows, dim = np.array([40, 2, 17]), len(network.fold_in.gram)
    listener = model.listener(history, liking)
    factors = network.item_factors[rows] * network.fusion
    of_nothing = network.fold_in.embedding(history, np.full(5, 1 / 3, np.float32))  # no target
    added = factors @ listener.user_vector[: factors.shape[1]] - factors[:, :dim] @ of_nothing
    parts = network.contributions(history, liking, rows)
    assert parts.sum(axis=0) == pytest.approx(added, abs=1e-5)
    neural = Moments.of(model.neural_scores(listener.user_vector)).deviation
    linked = Moments.of_sparse(listener.linked).deviation
    evidence = model.evidence(listener, rows).contributions.sum(axis=0)
    assert evidence == pytest.approx(
        model.blend.neural / neural * added
        + model.blend.item_to_item / linked * listener.linked.at(rows),
        abs=1e-4,
    )


def test_matching_genres_are_those_the_listener_likes():
    model = make_model(n_tracks=60)
    listener = model.listener(*NOBODY, stated=StatedTaste(genres=("jazz",)))
    for row in range(20):
        columns, _ = model.content.genres.row(row)
        has_jazz = "jazz" in {GENRES[c] for c in columns}
        assert model.matching_genres(listener, row) == (["jazz"] if has_jazz else [])


def test_a_row_beyond_the_catalogue_or_a_vector_of_another_model_is_refused():
    model = make_model()
    with pytest.raises(ValueError, match="track_rows must lie in"):
        model.listener(np.array([12]), np.ones(1))
    with pytest.raises(ValueError, match="user_vector has shape"):
        model.listener(*NOBODY, user_vector=np.zeros(3, np.float32))


def test_two_stages_find_what_the_exact_network_ranks_first():
    model = make_model(n_tracks=20_000, indexed=True)
    listener = model.listener(np.array([1, 50, 900]), np.ones(3))
    exact = np.argsort(-model.neural_scores(listener.user_vector))[:100]
    found = model.candidates(listener, n=2_000)
    assert len(found) < 7_000
    assert np.isin(exact, found).mean() >= 0.95


def test_the_recall_of_candidates_is_the_share_of_the_networks_best_that_they_hold():
    model = make_model(n_tracks=20_000, indexed=True)
    listener = model.listener(np.array([1, 50, 900]), np.ones(3))
    exact = np.argsort(-model.neural_scores(listener.user_vector))[:100]
    found = set(model.candidates(listener, n=100).tolist())
    share = sum(row in found for row in exact.tolist()) / 100
    assert model.recall_of_candidates(listener, k=100, n=100) == share < 1
    small = make_model()
    assert small.recall_of_candidates(small.listener(*NOBODY), k=5) == 1


def test_half_precision_keeps_the_order_at_the_top():
    model = make_model(n_tracks=2_000)
    vector = model.fold_in(np.array([1, 50, 900]), np.ones(3))
    exact = set(np.argsort(-model.network.scores(vector))[:100].tolist())
    halved = set(np.argsort(-model.network.halved().scores(vector))[:100].tolist())
    assert len(exact & halved) >= 98
