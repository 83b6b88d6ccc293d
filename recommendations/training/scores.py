"""The calibration of a model's scores on held-out responses, and how honest it is."""

from __future__ import annotations

import numpy as np

from recommendations.core.arrays import Floats
from recommendations.core.calibration import Calibration, within_one_star
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


def calibrate(
    model: ServingModel, train: Interactions, held_out: Interactions, rng: np.random.Generator
) -> tuple[Calibration, dict[str, float], ReliabilityCurve]:
    """Fit rating and confidence to held-out responses.

    Metrics and curve come from halves that the fit judged did not see; the calibration returned
    is fitted to all.  Errors are on the preference scale, [0, 1].

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
        return Calibration.none(), {}, reliability_curve(np.empty(0), np.empty(0, bool))
    predicted, n_responses = _predictions(model, train, held_out)
    counts = model.track_counts[held_out.track_rows]
    half = rng.permutation(len(held_out)) % 2 == 0
    expected, stated = np.empty(len(held_out), np.float32), np.empty(len(held_out), np.float32)
    for fitted, judged in ((half, ~half), (~half, half)):
        part = Calibration.fit(
            predicted[fitted], ratings[fitted], n_responses[fitted], counts[fitted]
        )
        expected[judged] = part.expected_rating(predicted[judged])
        stated[judged] = part.confidence_of(expected[judged], n_responses[judged], counts[judged])
    curve = reliability_curve(stated, within_one_star(expected, ratings))
    metrics = {
        "mae": mean_absolute_error(expected, ratings) / 4,
        "rmse": root_mean_squared_error(expected, ratings) / 4,
        "expected_calibration_error": curve.expected_calibration_error,
        "n_calibration": float(len(held_out)),
    }
    return Calibration.fit(predicted, ratings, n_responses, counts), metrics, curve


def true_ratings(responses: Interactions) -> Floats:
    """Return the ratings given, NaN where none was; 1 + 4 * preference if there is none at all."""
    return responses.rating if responses.has_ratings else 1 + 4 * responses.preference


def _predictions(
    model: ServingModel, train: Interactions, responses: Interactions
) -> tuple[Floats, Floats]:
    """Return the rating head's output for each response, and the length of the history."""
    histories = train.by_user()
    predicted = np.empty(len(responses), np.float32)
    n_responses = np.empty(len(responses), np.float32)
    order = np.argsort(responses.user_rows, kind="stable")
    users, begin = np.unique(responses.user_rows[order], return_index=True)
    for user, mine in zip(users, np.split(order, begin[1:]), strict=True):
        rows, preferences = histories.of(user)
        vector = model.fold_in(rows, preferences)
        predicted[mine] = model.network.preferences(vector, responses.track_rows[mine])
        n_responses[mine] = len(rows)
    return predicted, n_responses
