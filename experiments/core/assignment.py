"""Which variant a listener gets: the order of the rules, and nothing but the rules.

Order: kill switch, forced, holdout, layer, targeting, sticky, hash.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from experiments.core.hashing import Range, bucket_ranges, choose_range, hash_unit, in_ranges

Attributes = Mapping[str, object]


class Visitor(StrEnum):
    """Whom an experiment enrols, by whether they have been here before."""

    ANY = "any"
    NEW = "new"
    RETURNING = "returning"


class Reason(StrEnum):
    """The rule that decided."""

    KILL_SWITCH = "kill switch"
    FORCED = "forced"
    HOLDOUT = "holdout"
    LAYER = "layer"
    TARGETING = "targeting"
    STICKY = "sticky"
    HASH = "hash"
    COVERAGE = "coverage"
    VARIANT_STOPPED = "variant stopped"


@dataclass(frozen=True)
class Targeting:
    """Who may take part.  An attribute that a condition needs and that is unknown does not match.

    Attributes:
        visitor: new listeners, returning ones, or any; judged at enrolment.
        min_account_age_days: days since sign-up, at least; None asks nothing; judged at enrolment.
        max_account_age_days: days since sign-up, at most; None asks nothing; judged at enrolment.
        devices: device types let in, empty for all; judged at every request.
        countries: ISO 3166 codes let in, empty for all; judged at every request.
    """

    visitor: Visitor = Visitor.ANY
    min_account_age_days: float | None = None
    max_account_age_days: float | None = None
    devices: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()

    def matches_request(self, attributes: Attributes) -> bool:
        """Return whether device and country let this request in."""
        return (not self.devices or attributes.get("device") in self.devices) and (
            not self.countries or attributes.get("country") in self.countries
        )

    def matches_enrolment(self, attributes: Attributes) -> bool:
        """Return whether the listener may be enrolled now.

        Not asked of those already enrolled: a new listener becomes a returning one at the second
        visit, and must not leave the experiment by that.
        """
        if self.visitor is not Visitor.ANY:
            is_new = attributes.get("is_new")
            if not isinstance(is_new, bool) or is_new is not (self.visitor is Visitor.NEW):
                return False
        if self.min_account_age_days is None and self.max_account_age_days is None:
            return True
        age = attributes.get("account_age_days")
        if not isinstance(age, int | float):
            return False
        return (self.min_account_age_days is None or age >= self.min_account_age_days) and (
            self.max_account_age_days is None or age <= self.max_account_age_days
        )


@dataclass(frozen=True)
class VariantDefinition:
    """One variant: its key, the policy it prescribes, its weight, and whether it was stopped."""

    key: str
    policy: str
    weight: float
    stopped: bool = False


@dataclass(frozen=True)
class ExperimentDefinition:
    """What assignment must know of one running experiment.

    Attributes:
        key: stable name.
        seed: what the hash is seeded with; a new phase has a new one.
        coverage: share of the eligible who are enrolled, in [0, 1].
        variants: in order; the first is the baseline.
        layer: name of the layer, which seeds the hash that excludes; None for no layer.
        layer_ranges: the parts of [0, 1) of the layer that this experiment owns.
        targeting: who may take part.
    """

    key: str
    seed: str
    coverage: float
    variants: tuple[VariantDefinition, ...]
    layer: str | None = None
    layer_ranges: tuple[Range, ...] = ((0.0, 1.0),)
    targeting: Targeting = Targeting()
    ranges: tuple[Range, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the weights and lay out the ranges once.

        Raises:
            ValueError: fewer than two variants, a key twice, a negative weight, or a sum not 1.
        """
        weights = [variant.weight for variant in self.variants]
        if len(weights) < 2:
            raise ValueError(f"an experiment needs two variants or more, got {len(weights)}")
        if len({variant.key for variant in self.variants}) < len(weights):
            raise ValueError("variants: a key is used twice")
        if min(weights) < 0 or not 0.99 <= sum(weights) <= 1.01:
            raise ValueError(f"weights must be >= 0 and sum to 1, got {weights}")
        ranges = tuple(bucket_ranges(len(weights), self.coverage, weights))
        object.__setattr__(self, "ranges", ranges)

    def variant(self, key: str) -> VariantDefinition | None:
        """Return the variant named `key`, or None."""
        return next((variant for variant in self.variants if variant.key == key), None)


@dataclass(frozen=True)
class Holdout:
    """A share of listeners, in [0, 1], whom no experiment touches."""

    seed: str = "holdout"
    share: float = 0.0

    def holds(self, unit_id: str) -> bool:
        """Return whether the listener is held out."""
        if self.share <= 0:
            return False
        position = hash_unit(self.seed, unit_id)
        return position is not None and position < self.share


@dataclass(frozen=True)
class Choice:
    """What was decided for one listener in one experiment, and by which rule."""

    variant: VariantDefinition | None
    reason: Reason


def choose_variant(
    experiment: ExperimentDefinition,
    unit_id: str,
    attributes: Attributes,
    *,
    enabled: bool = True,
    forced: str | None = None,
    holdout: Holdout | None = None,
    sticky: str | None = None,
) -> Choice:
    """Return the variant of `experiment` for this listener, or none, with the rule that decided.

    Args:
        experiment: a running experiment.
        unit_id: ASCII id of the listener; an empty one is never enrolled.
        attributes: `device`, `country`, `is_new` (bool), `account_age_days`, where known.
        enabled: False is the kill switch.
        forced: key of a variant that a member of staff asked to see; unknown keys are ignored.
        holdout: who is kept out of everything.
        sticky: key of the variant the listener was exposed to before in this phase.

    Raises:
        ValueError: `unit_id` is not ASCII.
    """
    if not enabled:
        return Choice(None, Reason.KILL_SWITCH)
    if forced is not None and (variant := experiment.variant(forced)) is not None:
        return Choice(variant, Reason.FORCED)
    if holdout is not None and holdout.holds(unit_id):
        return Choice(None, Reason.HOLDOUT)
    if not unit_id:
        return Choice(None, Reason.COVERAGE)
    if experiment.layer is not None:
        position = hash_unit(f"layer:{experiment.layer}", unit_id)
        if position is None or not in_ranges(position, experiment.layer_ranges):
            return Choice(None, Reason.LAYER)
    targeting = experiment.targeting
    if not targeting.matches_request(attributes):
        return Choice(None, Reason.TARGETING)
    if sticky is not None and (variant := experiment.variant(sticky)) is not None:
        if variant.stopped:
            return Choice(None, Reason.VARIANT_STOPPED)
        return Choice(variant, Reason.STICKY)
    if not targeting.matches_enrolment(attributes):
        return Choice(None, Reason.TARGETING)
    position = hash_unit(experiment.seed, unit_id)
    index = -1 if position is None else choose_range(position, experiment.ranges)
    if index < 0:
        return Choice(None, Reason.COVERAGE)
    variant = experiment.variants[index]
    if variant.stopped:
        return Choice(None, Reason.VARIANT_STOPPED)
    return Choice(variant, Reason.HASH)
