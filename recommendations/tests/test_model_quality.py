"""What a version's report says of its calibration is what its training measured."""

import pytest

from recommendations.models import ModelVersion
from recommendations.reports import model_quality
from recommendations.services.train import metrics_of


def test_the_curve_of_a_trained_model_is_drawn_from_every_case_it_was_measured_on(trained):
    measured = metrics_of(trained)
    quality = model_quality.of(ModelVersion(metrics=measured, comparison={}))
    assert sum(point.n for point in quality.calibration) == measured["n_calibration"]
    gaps = [point.n * abs(point.predicted - point.observed) for point in quality.calibration]
    assert sum(gaps) / measured["n_calibration"] == pytest.approx(quality.calibration_error)
    assert model_quality.calibration_chart(quality)


def test_an_approximate_index_reports_its_recall():
    measured = {"first_stage_recall@100": 0.98, "cells_recall@100": 0.97}
    quality = model_quality.of(ModelVersion(metrics=measured, comparison={}))
    assert (quality.first_stage_recall, quality.cells_recall) == (0.98, 0.97)
    exact = model_quality.of(ModelVersion(metrics={}, comparison={}))
    assert (exact.first_stage_recall, exact.cells_recall) == (None, None)


def test_a_version_without_a_curve_has_no_points():
    quality = model_quality.of(ModelVersion(metrics={}, comparison={}))
    assert quality.calibration == ()
    assert not model_quality.calibration_chart(quality)
