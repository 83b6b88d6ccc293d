"""A response and its undoing leave everything as it was."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandits.models import Decision
from experiments.models import AssignmentSettings, Experiment, ListenerTotal
from experiments.services import recompute
from recommendations.models import Feedback, Hidden, OutboxEvent, Taste, Track, TrackHeat
from recommendations.services import hiding, undo
from recommendations.services.effects import all_listener_events, drain_outbox
from recommendations.services.recommend import recommend
from recommendations.services.taste import REBUILT_FIELDS, lock_taste
from recommendations.services.wishes import Wishes
from recommendations.tests.factories import (
    NOW,
    make_feedback,
    make_listener,
    make_play_count,
    make_track,
)

pytestmark = pytest.mark.django_db

FIELDS = (*REBUILT_FIELDS, "vector", "model_version_id", "stated_at")

RESPONSES = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from(["rating", "like", "dislike", "play", "skip", "save", "hide"]),
        st.integers(1, 5),
        st.floats(0, 1),
        st.integers(-90, 90),  # minutes: out of order, in and out of a session
    ),
    min_size=1,
    max_size=8,
)


def take(listener, tracks, response, at):
    track, kind, rating, completion, minutes = response
    return make_feedback(
        listener=listener,
        track=tracks[track],
        kind=kind,
        rating=rating if kind == "rating" else None,
        completion=completion if kind in ("play", "skip") else None,
        at=at,
        occurred_at=at + timedelta(minutes=minutes),
    )


def taste_of(listener):
    taste = Taste.objects.get(listener=listener)
    values = {name: getattr(taste, name) for name in FIELDS}
    return {
        name: bytes(value) if isinstance(value, memoryview) else value
        for name, value in values.items()
    }


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(before=RESPONSES, undone=RESPONSES.map(lambda responses: responses[0]))
def test_the_taste_after_respond_and_undo_is_the_taste_before(tracks, version, before, undone):
    listener = make_listener(genres=["pop"])
    make_play_count(listener=listener, track=tracks[7], plays=3)
    for number, response in enumerate(before):
        take(listener, tracks, response, NOW + timedelta(hours=number))
    was = taste_of(listener)
    row = take(listener, tracks, undone, NOW + timedelta(days=1))
    assert taste_of(listener) != was
    undo.retract(row, at=NOW + timedelta(days=2))
    assert taste_of(listener) == was


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(responses=RESPONSES, which=st.integers(0, 7))
def test_undoing_one_in_the_middle_is_never_having_said_it(tracks, responses, which):
    which %= len(responses)
    undoing, never = make_listener(), make_listener()
    for listener in (undoing, never):
        lock_taste(listener)
        for number, response in enumerate(responses):
            at = NOW + timedelta(hours=number)
            if listener is undoing or number != which:
                row = take(listener, tracks, response, at)
            if listener is undoing and number == which:
                said = row
    undo.retract(said, at=NOW + timedelta(days=1))
    assert taste_of(undoing) == taste_of(never)


def test_undoing_twice_owes_its_effects_once():
    row = make_feedback()
    assert undo.retract(row, at=NOW) is True
    assert undo.retract(row, at=NOW) is False
    assert OutboxEvent.objects.filter(kind="retraction").count() == 1


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
def test_heat_is_corrected_in_whatever_order_the_effects_come(together, backwards):
    track = make_track()
    row = make_feedback(track=track, kind="rating", rating=4)
    undo.retract(row, at=NOW)
    if backwards:
        OutboxEvent.objects.filter(kind="feedback").update(due_at=NOW + timedelta(minutes=1))
    for minute in range(3):
        drain_outbox(at=NOW + timedelta(minutes=minute), batch=100 if together else 1)
    heat = TrackHeat.objects.get(track=track)
    assert (heat.heat, heat.n_feedback) == (pytest.approx(0), 0)
    assert not OutboxEvent.objects.open().exists()


@pytest.fixture
def slate(tracks):
    """A slate that the bandit chose."""
    Experiment.objects.running().update(status=Experiment.Status.PAUSED)
    AssignmentSettings.objects.update_or_create(
        pk=1, defaults={"default_policy": "contextual_bandit"}
    )
    slate = recommend(listener=make_listener(), wishes=Wishes(), at=NOW).recommendation
    assert slate.probabilities
    return slate


def test_the_reward_is_that_of_the_responses_that_remain(slate):
    first, second = Track.objects.in_bulk(slate.tracks[:2]).values()
    answers = {"listener": slate.listener, "recommendation": slate}
    liked = make_feedback(track=first, kind="like", **answers)
    disliked = make_feedback(track=second, kind="dislike", **answers)
    drain_outbox(at=NOW)
    decision = Decision.objects.get(request_id=slate.pk)
    assert decision.reward == 0.5
    undo.retract(liked, at=NOW)
    drain_outbox(at=NOW)
    decision.refresh_from_db()
    assert decision.reward == 0.0
    undo.retract(disliked, at=NOW)
    drain_outbox(at=NOW)
    decision.refresh_from_db()
    assert (decision.reward, decision.state) == (None, Decision.State.WAITING)


@pytest.mark.parametrize("early", [True, False])
def test_experiments_count_an_undone_response_no_more(tracks, early):
    listener = make_listener()
    assert recommend(listener=listener, wishes=Wishes(), at=NOW).recommendation.experiment
    drain_outbox(at=NOW)

    def sums():
        rows = ListenerTotal.objects.filter(exposure__listener=listener).order_by("metric_id")
        return [row for row in rows.values_list("metric_id", "numerator", "denominator") if row[2]]

    before = sums()
    later = NOW + timedelta(minutes=1)
    row = make_feedback(listener=listener, track=tracks[0], at=later)
    if not early:
        drain_outbox(at=later)
        assert sums() != before
    undo.retract(row, at=later)
    drain_outbox(at=later)
    assert sums() == before
    assert recompute(all_listener_events()).changed == 0


def test_what_was_undone_stands_no_more():
    kept = make_feedback()
    undo.retract(make_feedback(), at=NOW)
    assert Feedback.objects.standing().get() == kept


def test_a_hide_that_has_run_out_hides_again():
    listener, track = make_listener(), make_track()
    Hidden.objects.create(listener=listener, track=track, until=NOW - timedelta(days=1))
    make_feedback(listener=listener, track=track, kind="hide")
    assert Hidden.objects.get().until is None


@pytest.mark.parametrize("was_hidden_before", [True, False])
def test_showing_a_track_again_takes_every_hide_of_it_back(was_hidden_before):
    listener, track = make_listener(), make_track()
    if was_hidden_before:
        hiding.hide(listener=listener, track=track, until=None, at=NOW)
    for _ in range(2):
        make_feedback(listener=listener, track=track, kind="hide")
    other = make_feedback(listener=listener, kind="hide")
    assert undo.show_again(Hidden.objects.get(track=track), at=NOW) is True
    assert Hidden.objects.get().feedback == other
    assert Feedback.objects.standing().get() == other
    assert list(Taste.objects.get().hidden["tracks"]) == [str(other.track_id)]
    assert OutboxEvent.objects.filter(kind="retraction").count() == 2


def test_showing_an_artist_again_takes_no_response_back():
    listener, track = make_listener(), make_track()
    make_feedback(listener=listener, track=track, kind="hide")
    hidden = hiding.hide(listener=listener, artist=track.artist, until=None, at=NOW)
    assert undo.show_again(hidden, at=NOW) is False
    assert Hidden.objects.get().track == track
