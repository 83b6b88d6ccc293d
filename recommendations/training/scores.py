"""The calibration of a model's scores on held-out responses, and how honest it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommendations.core.arrays import Floats
from recommendations.core.calibration import Calibration, fit_logistic, within_one_star
from recommendations.core.interactions import Interactions
from recommendations.core.metrics import (
    ReliabilityCurve,
    mean_absolute_error,
    reliability_curve,
    root_mean_squared_error,
)
from recommendations.core.serving_model import ServingModel

MIN_CASES = 40
"""With fewer held-out responses than this, nothing is calibrated."""


@dataclass(frozen=True, eq=False)
class HonestScores:
    """What calibration finds, and how well it holds on responses that it was not fitted to.

    Attributes:
        rating_blend: weights of `NeuMF.preference_features`.
        calibration: of rating and confidence.
        metrics: errors on the preference scale [0, 1], and the expected calibration error.
        curve: reliability of the confidence.
    """

    rating_blend: Floats
    calibration: Calibration
    metrics: dict[str, float]
    curve: ReliabilityCurve


def calibrate(
    model: ServingModel, train: Interactions, held_out: Interactions, rng: np.random.Generator
) -> HonestScores:
    """Fit expected rating and confidence to held-out responses.

    Metrics and curve come from halves that the fit judged did not see; what is returned to serve
    is fitted to all.

    Args:
        model: trained on `train` alone.
        train: what was known of the listeners.
        held_out: their further responses; those without a rating count as 1 + 4 * preference
            where no rating was ever given, and are left out otherwise.
        rng: draws the halves.
    """
    if train.has_ratings:
        held_out = held_out.take(~np.isnan(held_out.rating))
    ratings = true_ratings(held_out)
    if len(held_out) < MIN_CASES:
        nothing = reliability_curve(np.empty(0), np.empty(0, bool))
        return HonestScores(model.network.rating_blend, Calibration.none(), {}, nothing)
    features, n_responses = _features(model, train, held_out)
    counts = model.track_counts[held_out.track_rows]

    def fitted_to(cases: np.ndarray) -> tuple[Floats, Calibration]:
        preferences = (ratings[cases].astype(np.float64) - 1) / 4
        blend = fit_logistic(features[cases], preferences).astype(np.float32)
        predicted = _sigmoid(features[cases] @ blend)
        return blend, Calibration.fit(predicted, ratings[cases], n_responses[cases], counts[cases])

    half = rng.permutation(len(held_out)) % 2 == 0
    expected, stated = np.empty(len(held_out), np.float32), np.empty(len(held_out), np.float32)
    for cases, judged in ((half, ~half), (~half, half)):
        blend, part = fitted_to(cases)
        expected[judged] = part.expected_rating(_sigmoid(features[judged] @ blend))
        stated[judged] = part.confidence_of(expected[judged], n_responses[judged], counts[judged])
    curve = reliability_curve(stated, within_one_star(expected, ratings))
    metrics = {
        "mae": mean_absolute_error(expected, ratings) / 4,
        "rmse": root_mean_squared_error(expected, ratings) / 4,
        "expected_calibration_error": curve.expected_calibration_error,
        "n_calibration": float(len(held_out)),
    }
    return HonestScores(*fitted_to(np.ones(len(held_out), bool)), metrics, curve)


def true_ratings(responses: Interactions) -> Floats:
    """Return the ratings given, NaN where none was; 1 + 4 * preference if there is none at all."""
    return responses.rating if responses.has_ratings else 1 + 4 * responses.preference


def _features(
    model: ServingModel, train: Interactions, responses: Interactions
) -> tuple[Floats, Floats]:
    """Return each response's `preference_features`, and the length of the history before it."""
    histories = train.by_user()
    features = np.empty((len(responses), 3), np.float32)
    n_responses = np.empty(len(responses), np.float32)
    order = np.argsort(responses.user_rows, kind="stable")
    users, begin = np.unique(responses.user_rows[order], return_index=True)
    for user, mine in zip(users, np.split(order, begin[1:]), strict=True):
        rows, preferences = histories.of(user)
        vector = model.fold_in(rows, preferences)
        features[mine] = model.network.preference_features(vector, responses.track_rows[mine])
        n_responses[mine] = len(rows)
    return features, n_responses


def _sigmoid(logits: Floats) -> Floats:
    return (1 / (1 + np.exp(-logits))).astype(np.float32)
