"""Checks of whether an experiment can be trusted at all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from experiments.core.moments import Floats

SAMPLE_RATIO_THRESHOLD = 0.001
MIN_PER_VARIANT = 8
IMBALANCE_THRESHOLD = 0.001
MULTIPLE_EXPOSURE_SHARE = 0.01
MIN_MULTIPLE_EXPOSURES = 10
FALLBACK_SHARE = 0.05
FALLBACK_THRESHOLD = 0.001


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: what was checked.
        ok: False where the experiment must not be trusted.
        words: the finding, with its numbers.
        p_value: of the test behind it, where there is one.
    """

    name: str
    ok: bool
    words: str
    p_value: float | None = None


def sample_ratio_p_value(exposures: Sequence[int], weights: Sequence[float]) -> float:
    """Return the chi-squared p-value of the split against the weights.

    Variants of weight 0 are not counted, nor are their exposures.  1 where fewer than two
    variants are left.

    Raises:
        ValueError: the lists differ in length, or a count or weight is negative.
    """
    observed = np.asarray(exposures, dtype=np.float64)
    shares = np.asarray(weights, dtype=np.float64)
    if observed.shape != shares.shape:
        raise ValueError(f"{len(observed)} exposures but {len(shares)} weights")
    if (observed < 0).any() or (shares < 0).any():
        raise ValueError("exposures and weights must be >= 0")
    counted = shares > 0
    observed, shares = observed[counted], shares[counted]
    if len(observed) < 2 or observed.sum() == 0:
        return 1.0
    expected = observed.sum() * shares / shares.sum()
    return _p_value(observed, expected, dof=len(observed) - 1)


def sample_ratio_power(
    true_shares: Sequence[float],
    weights: Sequence[float],
    n: int,
    *,
    threshold: float = SAMPLE_RATIO_THRESHOLD,
) -> float:
    """Return the chance that one look at `n` listeners alarms, by the non-central chi-squared."""
    truth = np.asarray(true_shares, dtype=np.float64) / np.sum(true_shares)
    planned = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    non_centrality = n * float(((truth - planned) ** 2 / planned).sum())
    critical = float(special.chdtri(len(planned) - 1, threshold))
    if non_centrality == 0:
        return threshold
    return 1 - float(special.chndtr(critical, len(planned) - 1, non_centrality))


def _p_value(observed: Floats, expected: Floats, *, dof: int) -> float:
    """Return the p-value of Pearson's chi-squared; every cell expects something."""
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return float(special.chdtrc(dof, statistic))


def check_sample_ratio(
    exposures: Sequence[int],
    weights: Sequence[float],
    *,
    looks: int,
    threshold: float = SAMPLE_RATIO_THRESHOLD,
) -> Check:
    """Return whether the variants got the shares they were due, said with the looks taken.

    Looking often raises false alarms: `looks` times `threshold` bounds their chance.
    """
    counts = [n for n, weight in zip(exposures, weights, strict=True) if weight > 0]
    p_value = sample_ratio_p_value(exposures, weights)
    looked = f"looked at {looks} time{'' if looks == 1 else 's'}"
    chance = f"a false alarm by now has a chance of at most {min(1.0, looks * threshold):.1%}"
    if len(counts) > 1 and min(counts) < MIN_PER_VARIANT:
        words = f"Too early to say: every variant needs {MIN_PER_VARIANT} listeners."
        return Check("sample ratio", True, words, p_value)
    split = " / ".join(f"{n:,}" for n in counts)
    if p_value < threshold:
        words = (
            f"The split {split} does not fit the weights (p = {p_value:.2g}, {looked}; {chance}). "
            "Something loses or adds listeners in one variant: find it before reading any result."
        )
        return Check("sample ratio", False, words, p_value)
    words = f"The split {split} fits the weights (p = {p_value:.2g}, {looked}; {chance})."
    return Check("sample ratio", True, words, p_value)


def check_multiple_exposures(multiple: int, total: int) -> Check:
    """Return whether few enough listeners saw more than one variant (1 %, and at least 10)."""
    share = multiple / total if total else 0.0
    ok = multiple < MIN_MULTIPLE_EXPOSURES or share <= MULTIPLE_EXPOSURE_SHARE
    words = f"{multiple:,} of {total:,} listeners ({share:.1%}) met more than one variant."
    return Check("multiple exposures", ok, words)


def check_fallbacks(fallbacks: Sequence[int], exposures: Sequence[int]) -> Check:
    """Return whether every variant really served its policy.

    Fails where a variant of at least 50 listeners fell back for over 5 % of them, or where the
    variants' shares differ beyond chance (chi-squared, 0.001) and the highest is over 1 %.
    """
    pairs = [(f, n) for f, n in zip(fallbacks, exposures, strict=True) if n > 0]
    if not pairs:
        return Check("fall-backs", True, "No list was served yet.")
    shares = [f / n for f, n in pairs]
    p_value = 1.0
    if 0 < sum(f for f, _ in pairs) < sum(n for _, n in pairs) and len(pairs) > 1:
        table = np.array([[f, n - f] for f, n in pairs], np.float64)
        expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
        p_value = _p_value(table, expected, dof=len(pairs) - 1)
    too_many = any(f / n > FALLBACK_SHARE and n >= 50 for f, n in pairs)
    uneven = p_value < FALLBACK_THRESHOLD and max(shares) > 0.01
    said = " / ".join(f"{share:.1%}" for share in shares)
    words = f"Share of listeners first served by a fall-back, per variant: {said}."
    if uneven:
        words += f" The shares differ (p = {p_value:.2g}), so the variants are not what they claim."
    return Check("fall-backs", not (too_many or uneven), words, p_value)


def check_balance(p_values: Sequence[float], labels: Sequence[str]) -> Check:
    """Return whether the variants were alike before the start (Bonferroni over all comparisons).

    Args:
        p_values: one per metric and variant, of the difference to the baseline before exposure.
        labels: what each compares, for the words.
    """
    if not p_values:
        return Check("balance before the start", True, "No history before the start to compare.")
    worst = int(np.argmin(p_values))
    adjusted = min(1.0, p_values[worst] * len(p_values))
    words = (
        f"Largest difference before the start: {labels[worst]} "
        f"(p = {adjusted:.2g} after {len(p_values)} comparisons)."
    )
    return Check("balance before the start", adjusted >= IMBALANCE_THRESHOLD, words, adjusted)
