import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.core.latency import BOUNDS_MS, N_BUCKETS, bucket_of, percentile

durations = st.lists(st.floats(0, 20_000), min_size=1, max_size=200)


def counts_of(values):
    counts = [0] * N_BUCKETS
    for value in values:
        counts[bucket_of(value)] += 1
    return counts


@given(durations, st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_never_too_small_and_at_most_a_bucket_too_large(values, share):
    wanted = -(-share * len(values) // 1)
    exact = sorted(values)[max(int(wanted), 1) - 1]
    read = percentile(counts_of(values), share)
    assert read >= exact
    assert read <= max(exact * 2 ** (1 / 8) * 1.0001, BOUNDS_MS[0])


@given(durations, durations)
def test_two_processes_add_up_to_what_one_would_have_counted(some, others):
    added = [a + b for a, b in zip(counts_of(some), counts_of(others), strict=True)]
    assert added == counts_of(some + others)


def test_a_bound_belongs_to_its_own_bucket():
    assert [bucket_of(bound) for bound in BOUNDS_MS[:3]] == [0, 1, 2]
    assert bucket_of(BOUNDS_MS[2] * 1.0001) == 3
    assert bucket_of(0) == 0
    assert bucket_of(10**9) == N_BUCKETS - 1


def test_nothing_counted_has_no_percentile():
    assert percentile([0] * N_BUCKETS, 0.5) is None


@pytest.mark.parametrize("duration", [-1.0, float("nan")])
def test_what_is_no_duration_is_refused(duration):
    with pytest.raises(ValueError, match="at least 0"):
        bucket_of(duration)


def test_buckets_of_another_make_are_refused():
    with pytest.raises(ValueError, match="buckets"):
        percentile([1, 2, 3], 0.5)
