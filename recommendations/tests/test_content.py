import numpy as np
import pytest

from recommendations.core.content import (
    AUDIO_FEATURES,
    ContentFeatures,
    StatedTaste,
    content_profile,
    content_scores,
    matching_genres,
)

GENRES = [["rock"], ["rock", "pop"], ["pop"], ["jazz"], []]


def make_content(**features):
    audio = np.tile(np.linspace(0, 1, len(GENRES))[:, None], (1, len(AUDIO_FEATURES)))
    return ContentFeatures.build(GENRES, features.get("audio", audio))


def test_liked_genres_come_first_and_rejected_ones_last():
    content = ContentFeatures.build(GENRES)
    profile = content_profile(content, np.array([0, 3]), np.array([1.0, 0.0]))
    scores = content_scores(content, profile)
    assert scores[0] > scores[1] > scores[2] > scores[3]


def test_scores_of_some_rows_are_those_of_all():
    content = make_content()
    profile = content_profile(content, np.array([0, 2]), np.array([1.0, 0.75]))
    rows = np.array([3, 0, 4])
    everything = content_scores(content, profile)
    assert content_scores(content, profile, rows) == pytest.approx(everything[rows], abs=1e-6)


def test_a_stated_genre_works_without_any_history():
    content = make_content()
    nobody = (np.empty(0, np.int64), np.empty(0, np.float32))
    profile = content_profile(content, *nobody, StatedTaste(genres=("jazz", "polka")))
    assert int(np.argmax(content_scores(content, profile))) == 3
    assert matching_genres(content, profile, 3) == ["jazz"]
    assert matching_genres(content, profile, 0) == []


def test_wanted_energy_prefers_tracks_near_it():
    content = ContentFeatures.build([[]] * 5, make_content().audio)
    energy = AUDIO_FEATURES.index("energy")
    raw = np.full((5, len(AUDIO_FEATURES)), np.nan)
    raw[:, energy] = [0.0, 0.25, 0.5, 0.75, 1.0]
    content = ContentFeatures.build([[]] * 5, raw)
    nobody = (np.empty(0, np.int64), np.empty(0, np.float32))
    for wanted, best in ((0.0, 0), (0.5, 2), (1.0, 4)):
        profile = content_profile(content, *nobody, StatedTaste(energy=wanted))
        assert int(np.argmax(content_scores(content, profile))) == best


def test_a_mood_wants_its_valence_and_its_arousal_as_energy():
    raw = np.full((2, len(AUDIO_FEATURES)), 0.5)
    raw[:, AUDIO_FEATURES.index("valence")] = [0.9, 0.1]
    raw[:, AUDIO_FEATURES.index("energy")] = [0.8, 0.2]
    content = ContentFeatures.build([[], []], raw)
    nobody = (np.empty(0, np.int64), np.empty(0, np.float32))
    happy = content_scores(content, content_profile(content, *nobody, StatedTaste(mood=(0.9, 0.8))))
    sad = content_scores(content, content_profile(content, *nobody, StatedTaste(mood=(0.1, 0.2))))
    assert happy[0] > happy[1]
    assert sad[1] > sad[0]


def test_nothing_known_scores_all_alike():
    content = make_content()
    nobody = (np.empty(0, np.int64), np.empty(0, np.float32))
    assert np.ptp(content_scores(content, content_profile(content, *nobody))) == 0


def test_unknown_audio_stands_at_the_mean():
    raw = np.full((3, len(AUDIO_FEATURES)), np.nan)
    raw[0], raw[1] = 0.0, 1.0
    assert ContentFeatures.build([[]] * 3, raw).audio[2].tolist() == [0.0] * len(AUDIO_FEATURES)


@pytest.mark.parametrize("stated", [{"energy": 1.2}, {"energy": float("nan")}, {"mood": (0.5, -1)}])
def test_a_taste_out_of_range_is_refused(stated):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        StatedTaste(**stated)


def test_a_genre_that_is_not_listed_is_refused():
    with pytest.raises(ValueError, match="genres not in genre_names"):
        ContentFeatures.build([["rock"]], genre_names=["pop"])
