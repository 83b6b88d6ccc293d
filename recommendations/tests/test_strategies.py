"""What every strategy keeps to, whatever it ranks by."""

import numpy as np
import pytest

from accounts.services import set_preferences
from recommendations.core.content import StatedTaste
from recommendations.core.history import History
from recommendations.models import PlayCount
from recommendations.services import taste as tastes
from recommendations.services.catalogue import touch_catalogue
from recommendations.services.ranking import set_scene
from recommendations.services.wishes import Wishes
from recommendations.serving import portraits, state
from recommendations.serving.strategies import STRATEGIES, because_of_popularity, explanation
from recommendations.tests.factories import make_feedback, make_listener, make_track


def scene_of(listener, **wishes):
    return set_scene(listener, tastes.read_taste(listener), Wishes(**wishes), state.current())


@pytest.fixture
def fan(tracks, version):
    """A listener who loves one genre's tracks and rejects another's."""
    listener = make_listener()
    for track in tracks[1:16:3]:
        make_feedback(listener=listener, track=track, kind="rating", rating=5)
    make_feedback(listener=listener, track=tracks[2], kind="dislike")
    return listener


@pytest.mark.parametrize("name", sorted(STRATEGIES))
class TestContract:
    def test_it_is_known_by_its_name(self, name):
        assert STRATEGIES[name].name == name

    def test_it_scores_every_track_with_a_number(self, name, fan):
        scene = scene_of(fan)
        assert STRATEGIES[name].is_available(scene.stage)
        scores = STRATEGIES[name].scores(scene)
        assert scores.shape == (len(scene.catalogue),)
        assert scores.dtype == np.float32
        assert not np.isnan(scores).any()
        assert np.isfinite(scores).any()

    def test_the_same_scene_gives_the_same_scores(self, name, fan):
        strategy = STRATEGIES[name]
        np.testing.assert_array_equal(
            strategy.scores(scene_of(fan)), strategy.scores(scene_of(fan))
        )

    def test_it_gives_a_reason_for_every_track(self, name, fan):
        scene = scene_of(fan)
        STRATEGIES[name].scores(scene)
        rows = range(len(scene.catalogue))
        reasons = STRATEGIES[name].reasons(scene, rows)
        assert len(reasons) == len(rows)
        assert all(explanation(why).strip() for why in reasons)

    def test_somebody_unknown_does_no_harm(self, name, tracks, version):
        scene = scene_of(make_listener())
        assert scene.portrait.is_unknown
        scores = STRATEGIES[name].scores(scene)
        assert not np.isnan(scores).any()
        assert all(STRATEGIES[name].reasons(scene, [int(np.argmax(scores))]))

    def test_without_a_model_it_ranks_or_says_that_it_cannot(self, name, tracks):
        state.forget()
        scene = scene_of(make_listener())
        if STRATEGIES[name].is_available(scene.stage):
            assert np.isfinite(STRATEGIES[name].scores(scene)).any()
        else:
            with pytest.raises(ValueError, match="no model"):
                STRATEGIES[name].scores(scene)


def test_the_dial_of_discovery_moves_it_to_the_less_known(fan):
    def popularity_of_best(adventure):
        scene = scene_of(fan, adventure=adventure)
        best = np.argsort(-STRATEGIES["discovery"].scores(scene), kind="stable")[:5]
        return scene.catalogue.popularity[best].mean()

    assert popularity_of_best(1.0) <= popularity_of_best(0.0)


def test_three_named_artists_make_a_list_of_their_own(tracks, version):
    artists = [track.artist.name for track in tracks[:3]]
    named, nobody = make_listener(), make_listener()
    set_preferences(listener=named, artists=artists)
    scene = scene_of(named)
    assert not scene.portrait.is_unknown
    scores = STRATEGIES["hybrid_ensemble"].scores
    assert not np.allclose(scores(scene), scores(scene_of(nobody)))
    (why,) = STRATEGIES["neural_cf"].reasons(scene, [int(np.argmax(scores(scene)))])
    assert "you" in explanation(why)


def test_changed_preferences_change_the_next_scores(tracks, version):
    listener = make_listener()
    set_preferences(listener=listener, genres=[tracks[0].genres.first().name])
    before = STRATEGIES["neural_cf"].scores(scene_of(listener))
    set_preferences(listener=listener, genres=[tracks[1].genres.first().name])
    listener.refresh_from_db()
    after = STRATEGIES["neural_cf"].scores(scene_of(listener))
    assert not np.allclose(before, after)


def test_a_listener_is_scored_anew_after_a_response_and_only_then(tracks, fan):
    first = scene_of(fan)
    before = STRATEGIES["hybrid_ensemble"].scores(first)
    assert scene_of(fan).portrait is first.portrait
    make_feedback(listener=fan, track=tracks[20], kind="rating", rating=5)
    after = scene_of(fan)
    assert after.portrait is not first.portrait
    assert not np.allclose(before, STRATEGIES["hybrid_ensemble"].scores(after))


def test_only_so_many_listeners_are_kept_in_memory(version, tracks, monkeypatch):
    monkeypatch.setattr(portraits, "KEPT_BYTES", 0)
    stage = state.current()
    kept = portraits.Portraits(stage.catalogue, stage.loaded)

    def portrait(energy):
        return kept.of(b"", stated=StatedTaste(energy=energy))

    first = portrait(0.0)
    assert portrait(0.0) is first
    portrait(1.0)
    assert portrait(0.0) is not first


@pytest.mark.parametrize("n_tracks", [1_000, 100_000, 1_000_000, 2_500_000])
def test_listeners_of_a_large_catalogue_take_no_more_memory_than_those_of_a_small_one(n_tracks):
    each = portraits.BYTES_PER_TRACK * n_tracks + portraits.BYTES_BESIDE
    assert 0 < portraits.most_kept(n_tracks) * each <= portraits.KEPT_BYTES


def test_a_portrait_is_another_whatever_it_is_made_of_changes(version, tracks):
    kept = state.current().portraits
    vector = np.ones(kept.loaded.model.user_dim, "<f4").tobytes()
    track = np.array([tracks[0].pk])
    liked, loved = (History.build(track, np.array([p]), np.zeros(1)) for p in (0.8, 0.9))
    asked = [
        (history.to_bytes(), {"stated": stated, "artists": artists, "vector": given})
        for history in (liked, loved)
        for stated in (StatedTaste(), StatedTaste(energy=0.5))
        for artists in ((), (tracks[1].artist.name,))
        for given in (b"", vector)
    ]
    first = [kept.of(history, **rest) for history, rest in asked]
    assert len({id(portrait) for portrait in first}) == len(asked)
    assert [kept.of(history, **rest) for history, rest in asked] == first


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("is_counted", "said"),
    [(False, "popularity 80% by the catalogue"), (True, "50% of listeners here")],
)
def test_popularity_is_said_of_listeners_only_where_they_were_counted(is_counted, said):
    known = make_track(track_id="known", popularity=80)
    if is_counted:
        for track in (known, make_track(track_id="other")):
            PlayCount.objects.create(listener=make_listener(), track=track, plays=3)
    touch_catalogue()
    state.forget()
    assert explanation(because_of_popularity(scene_of(make_listener()), 0)) == f"well known: {said}"
