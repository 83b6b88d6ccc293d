import math
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandits.core.context import DEVICE_KINDS, NAMES, Context, with_intercept

share = st.none() | st.floats(0, 1)
amount = st.none() | st.floats(0, 1e9)


def number(context: Context, name: str) -> float:
    return float(context.vector()[NAMES.index(name)])


def test_nothing_known_is_twenty_zeros():
    np.testing.assert_array_equal(Context().vector(), np.zeros(20))


def test_a_saturday_at_six_in_the_morning():
    context = Context(local_time=datetime(2026, 8, 1, 6, 0))
    assert number(context, "hour_sin") == pytest.approx(1)
    assert number(context, "hour_cos") == pytest.approx(0)
    assert number(context, "weekday_sin") == pytest.approx(math.sin(2 * math.pi * 5 / 7))
    assert number(context, "weekend") == 1
    assert number(Context(local_time=datetime(2026, 7, 31)), "weekend") == -1


def test_minutes_count_and_midnight_does_not_jump():
    before = Context(local_time=datetime(2026, 7, 29, 23, 59)).vector()[:2]
    after = Context(local_time=datetime(2026, 7, 30, 0, 0)).vector()[:2]
    assert 0 < np.abs(before - after).max() < 0.01


@pytest.mark.parametrize(
    ("device", "kind"),
    [
        ("mobile", "mobile"),
        ("tablet", "mobile"),
        ("desktop", "desktop"),
        ("speaker", "hands_free"),
        ("car", "hands_free"),
        ("tv", "hands_free"),
    ],
)
def test_each_device_is_of_one_kind(device, kind):
    context = Context(device=device)
    kinds = ("mobile", "desktop", "hands_free")
    assert [number(context, name) for name in kinds] == [float(name == kind) for name in kinds]


def test_counts_grow_logarithmically_from_minus_one_to_one():
    counts = [number(Context(feedback_count=n), "feedback_count") for n in (0, 31, 1000, 10**9)]
    assert counts[0] == -1
    assert counts[1] == pytest.approx(0, abs=0.01)
    assert counts[2:] == [1, 1]


def test_a_mood_is_centred_and_marked_as_given():
    context = Context(valence=0.5, arousal=1.0)
    assert [number(context, name) for name in ("valence", "arousal", "mood_given")] == [0, 1, 1]


@given(
    st.builds(
        Context,
        local_time=st.none() | st.datetimes(),
        device=st.none() | st.sampled_from(sorted(DEVICE_KINDS)),
        feedback_count=st.none() | st.integers(0, 10**12),
        mean_preference=share,
        genre_entropy=share,
        skip_rate=share,
        days_since_last_visit=amount,
        session_tracks=st.none() | st.integers(0, 10**12),
        session_minutes=amount,
        session_mean_preference=share,
        last_preference=share,
    )
)
def test_every_number_stays_in_minus_one_to_one(context):
    vector = context.vector()
    assert vector.shape == (20,)
    assert np.abs(vector).max() <= 1 + 1e-12


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("skip_rate", 1.1),
        ("skip_rate", math.nan),
        ("valence", 0.2),  # without arousal
        ("feedback_count", -1),
        ("device", "toaster"),
        ("session_minutes", -timedelta(minutes=1).total_seconds()),
    ],
)
def test_a_wrong_value_is_refused_with_its_field_named(field, value):
    with pytest.raises(ValueError, match=field):
        Context(**{field: value})


def test_the_intercept_comes_last():
    assert with_intercept(np.zeros((2, 20)))[:, -1].tolist() == [1, 1]
