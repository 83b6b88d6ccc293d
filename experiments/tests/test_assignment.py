import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.core.assignment import (
    ExperimentDefinition,
    Holdout,
    Reason,
    Targeting,
    VariantDefinition,
    Visitor,
    choose_variant,
)

TWO = (VariantDefinition("a", "one", 0.5), VariantDefinition("b", "two", 0.5))
UNITS = st.integers(0, 10**9).map(str)


def make_experiment(**fields):
    return ExperimentDefinition(
        **{"key": "exp", "seed": "exp", "coverage": 1.0, "variants": TWO} | fields
    )


def test_growthbooks_seed_case_lands_on_the_second_variant():
    choice = choose_variant(make_experiment(seed="foo"), "1", {})
    assert (choice.variant.key, choice.reason) == ("b", Reason.HASH)


def test_the_order_of_the_rules():
    """Each rule is switched off in turn, and the next one decides."""
    experiment = make_experiment(
        coverage=0.0,
        layer="l",
        layer_ranges=(),
        targeting=Targeting(devices=frozenset({"mobile"})),
    )
    everyone = Holdout(share=1.0)
    rules = {"enabled": False, "forced": "b", "holdout": everyone, "sticky": "a"}
    assert choose_variant(experiment, "1", {}, **rules).reason is Reason.KILL_SWITCH
    rules["enabled"] = True
    assert choose_variant(experiment, "1", {}, **rules).reason is Reason.FORCED
    rules["forced"] = None
    assert choose_variant(experiment, "1", {}, **rules).reason is Reason.HOLDOUT
    rules["holdout"] = Holdout(share=0.0)
    assert choose_variant(experiment, "1", {}, **rules).reason is Reason.LAYER
    experiment = make_experiment(coverage=0.0, targeting=experiment.targeting, layer="l")
    assert choose_variant(experiment, "1", {}, **rules).reason is Reason.TARGETING
    mobile = {"device": "mobile"}
    assert choose_variant(experiment, "1", mobile, **rules).reason is Reason.STICKY
    rules["sticky"] = None
    assert choose_variant(experiment, "1", mobile, **rules).reason is Reason.COVERAGE
    experiment = make_experiment(targeting=experiment.targeting)
    assert choose_variant(experiment, "1", mobile, **rules).reason is Reason.HASH


def test_an_unknown_forced_variant_is_ignored():
    assert choose_variant(make_experiment(), "1", {}, forced="zzz").reason is Reason.HASH


def test_an_empty_id_is_never_enrolled():
    assert choose_variant(make_experiment(), "", {}).variant is None


def test_a_non_ascii_id_is_refused():
    with pytest.raises(ValueError, match="ASCII"):
        choose_variant(make_experiment(), "ß", {})


def test_a_stopped_variants_listeners_get_no_variant_and_the_others_stay():
    stopped = make_experiment(variants=(TWO[0], VariantDefinition("b", "two", 0.5, stopped=True)))
    for unit in map(str, range(200)):
        before = choose_variant(make_experiment(), unit, {}).variant.key
        after = choose_variant(stopped, unit, {})
        if before == "b":
            assert (after.variant, after.reason) == (None, Reason.VARIANT_STOPPED)
        else:
            assert after.variant.key == "a"
    assert choose_variant(stopped, "1", {}, sticky="b").reason is Reason.VARIANT_STOPPED


@given(UNITS, st.floats(0, 1), st.floats(0, 1))
def test_layers_exclude_each_other(unit, cut, coverage):
    first = make_experiment(key="x", seed="x", layer="l", layer_ranges=((0.0, cut),))
    second = make_experiment(
        key="y", seed="y", layer="l", layer_ranges=((cut, 1.0),), coverage=coverage
    )
    taken = [choose_variant(e, unit, {}).variant is not None for e in (first, second)]
    assert sum(taken) <= 1


@given(UNITS, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_holdout_holds_whom_a_smaller_one_held(unit, share_a, share_b):
    small, large = sorted((share_a, share_b))
    assert not Holdout(share=small).holds(unit) or Holdout(share=large).holds(unit)


def test_a_new_phase_randomizes_anew():
    pairs = set()
    for unit in map(str, range(100)):
        first = choose_variant(make_experiment(seed="exp"), unit, {}).variant.key
        second = choose_variant(make_experiment(seed="exp-2"), unit, {}).variant.key
        pairs.add((first, second))
    assert len(pairs) == 4


@pytest.mark.parametrize(
    ("targeting", "attributes", "enrolled"),
    [
        (Targeting(), {}, True),
        (Targeting(visitor=Visitor.NEW), {"is_new": True}, True),
        (Targeting(visitor=Visitor.NEW), {"is_new": False}, False),
        (Targeting(visitor=Visitor.RETURNING), {"is_new": False}, True),
        (Targeting(visitor=Visitor.RETURNING), {}, False),
        (Targeting(countries=frozenset({"NO"})), {"country": "NO"}, True),
        (Targeting(countries=frozenset({"NO"})), {"country": "SE"}, False),
        (Targeting(countries=frozenset({"NO"})), {}, False),
        (Targeting(min_account_age_days=7), {"account_age_days": 7}, True),
        (Targeting(min_account_age_days=7), {"account_age_days": 6.9}, False),
        (Targeting(max_account_age_days=7), {"account_age_days": 8}, False),
        (Targeting(max_account_age_days=7), {}, False),
    ],
)
def test_targeting(targeting, attributes, enrolled):
    choice = choose_variant(make_experiment(targeting=targeting), "1", attributes)
    assert (choice.variant is not None) is enrolled


def test_who_was_enrolled_as_new_stays_when_returning():
    experiment = make_experiment(targeting=Targeting(visitor=Visitor.NEW))
    choice = choose_variant(experiment, "1", {"is_new": False}, sticky="a")
    assert choice.variant.key == "a"


@pytest.mark.parametrize(
    "variants",
    [
        TWO[:1],
        (TWO[0], TWO[0]),
        (VariantDefinition("a", "one", 0.9), VariantDefinition("b", "two", 0.9)),
        (VariantDefinition("a", "one", -0.5), VariantDefinition("b", "two", 1.5)),
    ],
)
def test_impossible_variants_are_refused(variants):
    with pytest.raises(ValueError, match=r"variants|weights"):
        make_experiment(variants=variants)
