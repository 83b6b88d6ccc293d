"""How many listeners an experiment needs, by what the test itself would see of them."""

from datetime import timedelta

import numpy as np
import pytest

from experiments import services
from experiments.core.effects import lift
from experiments.core.intervals import fixed_interval
from experiments.core.moments import Moments
from experiments.core.power import Baseline
from experiments.models import Exposure, ListenerTotal, Metric
from experiments.tests.factories import (
    NOW,
    feedback,
    make_draft,
    make_listener,
    make_running,
    slate,
)
from experiments.tests.test_rollup import play_out

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def known_values(metric):
    """Numerators and denominators of everybody exposed, zeros for those who did nothing."""
    totals = {
        row.exposure_id: (row.numerator, row.denominator)
        for row in ListenerTotal.objects.filter(metric__key=metric)
    }
    exposures = Exposure.objects.order_by("pk").values_list("pk", flat=True)
    return np.array([totals.get(pk, (0.0, 0.0)) for pk in exposures]).T


def test_the_plan_is_powered_by_the_goals_own_history():
    experiment = make_running(planned_listeners=300)
    with pytest.raises(ValueError, match="history of 0 listeners"):
        services.plan_power(experiment)
    play_out(150, lambda _: 3.5)
    services.roll_up(at=NOW + DAY)
    report = services.plan_power(experiment)
    assert (report.metric, report.n_history) == ("mean_rating", 150)
    assert report.baseline.mean == pytest.approx(3.5, abs=0.2)
    assert services.plan_power(experiment, listeners=report.needed).power == pytest.approx(
        0.8, abs=0.02
    )
    assert Metric.objects.get(key="mean_rating").kind == "ratio"


def test_listeners_who_rate_nothing_count_in_the_plan_as_they_do_in_the_test():
    experiment = make_running(method="fixed", smallest_effect=0.05)
    play_out(300, lambda _: 3.5, raters=0.3)
    services.roll_up(at=NOW + DAY)
    known = known_values("mean_rating")
    assert 0.2 < np.count_nonzero(known[1]) / 300 < 0.4
    report = services.plan_power(experiment)
    expected = Baseline.of(Moments.of_values(*known), kind="ratio")
    assert report.n_history == 300
    assert report.baseline.mean == pytest.approx(expected.mean)
    assert report.baseline.variance == pytest.approx(expected.variance)
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(400):
        numerators, denominators = known[:, rng.integers(300, size=report.needed)]
        control, treated = np.array_split(np.arange(report.needed), 2)
        between = lift(
            Moments.of_values(numerators[control], denominators[control]),
            Moments.of_values(1.05 * numerators[treated], denominators[treated]),
            kind="ratio",
        )
        found += fixed_interval(between).low > 0
    assert found / 400 == pytest.approx(0.8, abs=0.06)


def events_outside_of_experiments(n_listeners):
    """Each gets a list; every fifth rates and plays on that day, and plays two days later."""
    events = []
    for number in range(n_listeners):
        listener = make_listener()
        events.append(slate(listener, at=NOW))
        if number % 5 == 0:
            events += [feedback(listener, at=NOW, rating=number % 4 + 2) for _ in range(2)]
            events += [feedback(listener, "play", at=NOW + days * DAY) for days in (0, 2, 2)]
    return events


def test_a_metric_that_no_phase_has_measured_is_taken_from_the_days_of_everybody_seen():
    services.apply_events(events_outside_of_experiments(60))
    report = services.plan_power(make_draft())
    ratings = [2.0 * (number % 4 + 2) * (number % 5 == 0) for number in range(60)]
    counts = [2.0 * (number % 5 == 0) for number in range(60)]
    expected = Baseline.of(Moments.of_values(ratings, counts), kind="ratio")
    assert report.n_history == 60
    assert report.baseline.mean == pytest.approx(expected.mean)
    assert report.baseline.variance == pytest.approx(expected.variance)
    plays = services.plan_power(make_draft(goal="plays_per_day"))
    assert plays.baseline.mean == pytest.approx(12 * 3 / (60 * 3))


def test_returning_is_a_share_of_those_whose_week_is_over_however_often_they_came():
    draft = make_draft(goal="return_7d")
    services.apply_events(events_outside_of_experiments(60))
    with pytest.raises(ValueError, match="history of 0 listeners"):
        services.plan_power(draft)
    services.apply_events([slate(make_listener(), at=NOW + 8 * DAY)])
    report = services.plan_power(draft)
    assert report.n_history == 60
    assert report.baseline.mean == pytest.approx(12 / 60)
    assert report.baseline.variance == pytest.approx(0.2 * 0.8)


def test_days_do_not_tell_of_different_artists():
    services.apply_events(events_outside_of_experiments(60))
    with pytest.raises(ValueError, match="distinct_artists has a history of 0"):
        services.plan_power(make_draft(goal="distinct_artists"))
