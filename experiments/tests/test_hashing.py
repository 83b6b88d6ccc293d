import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.core.hashing import (
    bucket_ranges,
    choose_range,
    equal_weights,
    fnv1a32,
    hash_unit,
    in_ranges,
)

ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)

# The published cases of GrowthBook's SDKs (cases.json, specVersion 5).
HASHES = [
    ("", "a", 1, 0.22),
    ("", "b", 1, 0.077),
    ("b", "a", 1, 0.946),
    ("ef", "d", 1, 0.652),
    ("asdf", "8952klfjas09ujk", 1, 0.549),
    ("", "123", 1, 0.011),
    ("", '___)((*":&', 1, 0.563),
    ("seed", "a", 2, 0.0505),
    ("seed", "b", 2, 0.2696),
    ("foo", "ab", 2, 0.2575),
    ("foo", "def", 2, 0.2019),
    ("89123klj", "8952klfjas09ujkasdf", 2, 0.124),
    ("90850943850283058242805", "123", 2, 0.7516),
    ("()**(%$##$%#$#", '___)((*":&', 2, 0.0128),
    ("abc", "def", 99, None),
]
RANGES = [
    ((2, 1, None), [(0, 0.5), (0.5, 1)]),
    ((2, 0.5, None), [(0, 0.25), (0.5, 0.75)]),
    ((2, 0, None), [(0, 0), (0.5, 0.5)]),
    ((4, 1, None), [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]),
    ((2, 1, [0.4, 0.6]), [(0, 0.4), (0.4, 1)]),
    ((2, 0.5, [0.4, 0.6]), [(0, 0.2), (0.4, 0.7)]),
    ((3, 1, [0.2, 0.3, 0.5]), [(0, 0.2), (0.2, 0.5), (0.5, 1)]),
    ((3, 0.2, [0.2, 0.3, 0.5]), [(0, 0.04), (0.2, 0.26), (0.5, 0.6)]),
    ((2, -0.2, None), [(0, 0), (0.5, 0.5)]),
    ((2, 1.5, None), [(0, 0.5), (0.5, 1)]),
    ((2, 1, [0.4, 0.1]), [(0, 0.5), (0.5, 1)]),
    ((2, 1, [0.7, 0.6]), [(0, 0.5), (0.5, 1)]),
    ((4, 1, [0.4, 0.4, 0.2]), [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]),
    ((2, 1, [0.4, 0.5999]), [(0, 0.4), (0.4, 0.9999)]),
]


@pytest.mark.parametrize(("seed", "value", "version", "expected"), HASHES)
def test_hash_matches_growthbooks_published_cases(seed, value, version, expected):
    assert hash_unit(seed, value, version=version) == expected


@pytest.mark.parametrize(("given_", "expected"), RANGES)
def test_ranges_match_growthbooks_published_cases(given_, expected):
    ranges = bucket_ranges(*given_)
    assert [pytest.approx(pair) for pair in ranges] == expected


def test_a_zero_range_is_skipped():
    assert choose_range(0.5, [(0, 0.5), (0.5, 0.5), (0.5, 1)]) == 2


@pytest.mark.parametrize(
    ("position", "expected"), [(0.2, 0), (0.4, 0), (0.6, 1), (0.8, 1), (0.0, 0), (0.5, 1), (1, -1)]
)
def test_even_ranges_are_half_open(position, expected):
    assert choose_range(position, [(0, 0.5), (0.5, 1)]) == expected


@pytest.mark.parametrize(("unit", "inside"), [("1", True), ("2", True), ("3", False), ("4", False)])
def test_legacy_namespace_cases_pin_version_1(unit, inside):
    position = hash_unit("__namespace2", unit, version=1)
    assert in_ranges(position, [(0.4, 1)]) is inside
    assert in_ranges(hash_unit("__namespace1", unit, version=1), [(0.4, 1)])


def test_version_2_filters_match_the_published_run_cases():
    assert in_ranges(hash_unit("seed", "1"), [(0, 0.1), (0.2, 0.4)])
    assert in_ranges(hash_unit("seed", "fsdafsda"), [(0.8, 1.0)])
    assert not in_ranges(hash_unit("seed", "fsdafsda"), [(0.6, 0.8)])
    assert choose_range(hash_unit("foo", "1"), bucket_ranges(2)) == 1
    assert choose_range(hash_unit("foo", "1"), bucket_ranges(2, 0.99, [0.5, 0.5])) == 1


@pytest.mark.parametrize("n", range(1, 7))
def test_equal_weights_sum_to_one(n):
    assert sum(equal_weights(n)) == pytest.approx(1)
    assert len(equal_weights(n)) == n


def test_no_variants_have_no_weights():
    assert equal_weights(0) == []
    assert equal_weights(-1) == []


def test_ids_outside_ascii_are_refused():
    with pytest.raises(ValueError, match="ASCII"):
        fnv1a32("blåbær")


@given(ASCII, ASCII)
def test_a_hash_lies_on_the_grid_of_ten_thousandths(seed, unit):
    position = hash_unit(seed, unit)
    assert 0 <= position < 1
    assert position * 10_000 == pytest.approx(round(position * 10_000))


@given(
    st.lists(st.integers(0, 100), min_size=2, max_size=6).filter(sum),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 9_999),
)
def test_raising_coverage_moves_nobody(parts, coverage_a, coverage_b, bucket):
    weights = [part / sum(parts) for part in parts]
    low, high = sorted((coverage_a, coverage_b))
    before = choose_range(bucket / 10_000, bucket_ranges(len(weights), low, weights))
    after = choose_range(bucket / 10_000, bucket_ranges(len(weights), high, weights))
    assert before in (-1, after)


@pytest.fixture(scope="module")
def positions():
    """Where 200,000 sequential ids fall in two experiments."""
    ids = [str(unit) for unit in range(200_000)]
    return [[hash_unit(seed, unit) for unit in ids] for seed in ("exp-a", "exp-b")]


def test_200_000_ids_are_uniform(positions):
    for column in positions:
        counts = [0] * 100
        for position in column:
            counts[int(position * 100)] += 1
        assert stats.chisquare(counts).pvalue > 0.001


def test_two_experiments_are_independent_over_200_000_ids(positions):
    cells = [[0, 0], [0, 0]]
    for first, second in zip(*positions, strict=True):
        cells[first >= 0.5][second >= 0.5] += 1
    assert stats.chi2_contingency(cells).pvalue > 0.001


def test_version_1_would_fail_independence():
    cells = [[0, 0], [0, 0]]
    for unit in range(200_000):
        first = hash_unit("exp-a", str(unit), version=1)
        second = hash_unit("exp-b", str(unit), version=1)
        cells[first >= 0.5][second >= 0.5] += 1
    assert cells == [[47414, 52515], [52933, 47138]]
    assert stats.chi2_contingency(cells).pvalue < 1e-100
