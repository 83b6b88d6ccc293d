"""The simulated world: deterministic, in range, and true to what it says of itself."""

from dataclasses import replace

import numpy as np
import pytest

from recommendations.core.world import (
    Situation,
    World,
    WorldCatalogue,
    demo_history,
    expected_preferences,
)

MOODS = {"calm": (0.6, 0.2), "party": (0.85, 0.85), "sad": (0.15, 0.25)}
NOON = Situation(hour=12.0, weekday=2, device="mobile")


def make_catalogue(n_tracks=120, n_genres=8, seed=3):
    rng = np.random.default_rng(seed)
    genres = np.zeros((n_tracks, n_genres))
    genres[np.arange(n_tracks), rng.integers(n_genres, size=n_tracks)] = 1
    return WorldCatalogue(
        genres=genres,
        artist=rng.integers(n_tracks // 2, size=n_tracks),
        energy=rng.random(n_tracks),
        valence=rng.random(n_tracks),
        popularity=rng.integers(101, size=n_tracks).astype(float),
        duration_s=rng.uniform(120, 300, size=n_tracks),
    )


@pytest.fixture(scope="module")
def world():
    return World.simulate(40, 11, make_catalogue(), MOODS)


@pytest.fixture(scope="module")
def history(world):
    return demo_history(world, np.random.default_rng(5), days=60)


def test_the_same_seed_gives_the_same_history(history):
    again = World.simulate(40, 11, make_catalogue(), MOODS)
    assert demo_history(again, np.random.default_rng(5), days=60) == history


def test_another_seed_gives_other_tastes(world):
    other = World.simulate(40, 12, make_catalogue(), MOODS)
    assert not np.allclose(other.listeners.affinity, world.listeners.affinity)


def test_history_is_ordered_and_each_listener_meets_30_to_60_different_tracks(world, history):
    times = [event.time_s for event in history]
    assert times == sorted(times)
    assert times[0] >= 0
    met = {}
    for event in history:
        met.setdefault(event.listener, []).append(event.track_row)
    assert len(met) == world.n_listeners
    assert all(30 <= len(rows) <= 60 for rows in met.values())
    assert all(len(set(rows)) == len(rows) for rows in met.values())


def test_outcomes_are_in_range_and_every_kind_occurs(history):
    for event in history:
        outcome = event.outcome
        assert 0 <= outcome.preference <= 1
        assert outcome.delay_s > 0
        if outcome.kind == "rating":
            assert outcome.value in {1, 2, 3, 4, 5}
            assert outcome.preference == (outcome.value - 1) / 4
        else:
            assert 0 <= outcome.value <= 1
    kinds = {event.outcome.kind for event in history}
    assert kinds == {"rating", "play", "skip", "dislike", "like", "save"}


def test_expected_preference_is_the_mean_of_the_responses(world):
    rng = np.random.default_rng(0)
    rows = np.arange(120)
    order = np.argsort(world.utility(0, rows, NOON))
    for row in order[[0, 60, 119]]:
        answers = [world.respond(0, int(row), NOON, rng).preference for _ in range(4000)]
        standard_error = np.std(answers) / np.sqrt(len(answers))
        assert np.mean(answers) == pytest.approx(
            world.expected_preference(0, int(row), NOON), abs=4 * standard_error + 1e-3
        )


def test_expected_preference_grows_with_utility_and_stays_inside_the_scale():
    expected = expected_preferences(np.linspace(-20, 20, 401))
    assert (np.diff(expected) >= -1e-12).all()  # rounding, where it is flat
    assert expected[0] < 0.01
    assert expected[-1] > 0.99


def test_a_better_matching_list_gets_better_responses(world):
    rng = np.random.default_rng(1)
    rows = np.arange(120)
    means = []
    for size in (10, 40, 120):  # the best 10, the best 40, all of them
        answers = []
        for listener in range(world.n_listeners):
            best = np.argsort(-world.utility(listener, rows, NOON))[:size]
            shown = rng.choice(best, size=10, replace=False)
            answers += [world.respond(listener, int(r), NOON, rng).preference for r in shown]
        means.append(np.mean(answers))
    assert means[0] > means[1] + 0.05
    assert means[1] > means[2] + 0.05


def test_a_mood_moves_the_wanted_energy(world):
    rows = np.arange(120)
    calm = replace(NOON, mood="calm", mood_is_stated=True)
    sad = replace(calm, mood="sad")
    party = replace(calm, mood="party")
    energy, valence = world.catalogue.energy, world.catalogue.valence
    for listener in range(world.n_listeners):
        towards_party = world.utility(listener, rows, party) - world.utility(listener, rows, calm)
        assert np.corrcoef(towards_party, energy)[0, 1] > 0.3
        towards_calm = world.utility(listener, rows, calm) - world.utility(listener, rows, sad)
        assert np.corrcoef(towards_calm, valence)[0, 1] > 0.3


def test_the_evening_wants_more_energy_than_the_morning(world):
    rows = np.arange(120)
    evening, morning = replace(NOON, hour=19.0), replace(NOON, hour=7.0)
    gains = [
        np.corrcoef(
            world.utility(i, rows, evening) - world.utility(i, rows, morning),
            world.catalogue.energy,
        )[0, 1]
        for i in range(world.n_listeners)
    ]
    assert np.mean(gains) > 0.5


def test_hands_free_listeners_want_known_tracks(world):
    rows = np.arange(120)
    car, desk = replace(NOON, device="car"), replace(NOON, device="desktop")
    for listener in range(world.n_listeners):
        gain = world.utility(listener, rows, car) - world.utility(listener, rows, desk)
        assert np.corrcoef(gain, world.catalogue.popularity)[0, 1] > 0.99


def test_the_noise_floor_is_the_error_of_the_truth(world, history):
    encounters = [(e.listener, e.track_row, e.situation) for e in history]
    truth = np.array([world.expected_preference(*encounter) for encounter in encounters])
    errors = np.abs(truth - [e.outcome.preference for e in history])
    standard_error = errors.std() / np.sqrt(len(errors))
    assert world.noise_floor(encounters) == pytest.approx(errors.mean(), abs=4 * standard_error)


def test_not_knowing_the_situation_costs_accuracy(world, history):
    encounters = [(e.listener, e.track_row, e.situation) for e in history[:300]]
    known = world.noise_floor(encounters)
    assert world.noise_floor(encounters, situation_known=False) > 1.05 * known


def test_drift_turns_the_adventurous_cautious_and_keeps_the_tracks(world):
    drifted = world.drifted(seed=2)
    assert np.allclose(drifted.listeners.adventurousness, 1 - world.listeners.adventurousness)
    assert drifted.catalogue is world.catalogue
    assert not np.allclose(drifted.listeners.affinity, world.listeners.affinity)


def test_late_responses_come_after_twenty_minutes_in_the_share_asked_for(world):
    late = world.with_late_responses(0.4)
    rng = np.random.default_rng(4)
    delays = np.array([late.respond(0, 0, NOON, rng).delay_s for _ in range(2000)])
    assert np.mean(delays > 20 * 60) == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda w: World.simulate(0, 1, w.catalogue, MOODS), "n_listeners must be >= 1, got 0"),
        (lambda w: World.simulate(3, 1, w.catalogue, {}), "at least one mood"),
        (lambda w: w.utility(0, [0], replace(NOON, mood="bored")), "got 'bored'"),
        (lambda w: w.with_late_responses(1.5), "got 1.5"),
        (lambda w: w.noise_floor([]), "must not be empty"),
        (lambda w: demo_history(w, np.random.default_rng(0), days=0), "days must be >= 1"),
        (lambda w: replace(w.catalogue, energy=np.ones(3)), "energy has 3 rows"),
    ],
)
def test_wrong_input_is_refused_with_what_was_got(world, act, message):
    with pytest.raises(ValueError, match=message):
        act(world)
