import uuid
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest

from accounts.models import Listener
from experiments import reports, services
from experiments.analysis import Options
from experiments.core.intervals import Method
from experiments.core.moments import Moments, winsorize
from experiments.models import (
    CohortMoments,
    Exposure,
    ExposureCount,
    Metric,
    RollUp,
    RollUpStep,
    TrendPoint,
)
from experiments.services import judging, rollup
from experiments.tests.factories import NOW, expose, feedback, make_listener, make_running, slate

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def play_out(
    n_listeners,
    rating_of,
    *,
    at=NOW,
    latency_of=lambda variant: 10.0,
    plays=3,
    raters=1.0,
    seed=4,
):
    """Expose listeners, who play; a share of them rates around what their variant deserves."""
    rng = np.random.default_rng(seed)
    listeners = [
        make_listener(uuid=uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(n_listeners)
    ]
    events, variants = [], {}
    for listener in listeners:
        variant = expose(listener, at=at).variant_key
        variants[listener.pk] = variant
        taste = rng.normal(0, 0.5)
        rates = raters == 1 or rng.random() < raters
        events.append(
            slate(listener, at=at, latency_ms=latency_of(variant) * rng.uniform(0.8, 1.2))
        )
        for _ in range(plays):
            rating = int(np.clip(round(rating_of(variant) + taste + rng.normal(0, 0.7)), 1, 5))
            if rates:
                events.append(feedback(listener, "rating", at=at, rating=rating))
            act = "skip" if rng.random() < 0.3 else "play"
            events.append(feedback(listener, act, at=at, track_artist_id=int(rng.integers(9))))
    services.apply_events(events)
    return variants, events


def test_the_grouped_sums_are_the_moments_of_the_listeners_values():
    make_running()
    variants, events = play_out(40, lambda _: 3.5)
    silent = make_listener()
    variants[silent.pk] = expose(silent).variant_key
    services.roll_up(at=NOW + DAY)
    stored = CohortMoments.objects.all().added("metric__key", "variant__key")
    for variant in ("a", "b"):
        ids = [pk for pk, key in variants.items() if key == variant]
        ratings = {pk: [0.0, 0.0] for pk in ids}
        artists = {pk: set() for pk in ids}
        for event in events:
            if event.listener_id in ratings and event.values.get("kind") == "rating":
                ratings[event.listener_id][0] += event.values["rating"]
                ratings[event.listener_id][1] += 1
            if event.listener_id in ratings and event.values.get("kind") == "play":
                artists[event.listener_id].add(event.values["track_artist_id"])
        expected = Moments.of_values(
            [ratings[pk][0] for pk in ids],
            [ratings[pk][1] for pk in ids],
            np.zeros(len(ids)),
            np.zeros(len(ids)),
        )
        found = stored["mean_rating", variant]
        assert found.n == expected.n
        np.testing.assert_allclose(found.sums, expected.sums)
        np.testing.assert_allclose(found.products, expected.products)
        capped = winsorize([float(len(artists[pk])) for pk in ids], 99.5)
        found = stored["distinct_artists", variant]
        assert (found.sums[1], found.sums[3]) == (len(ids), len(ids))
        assert found.products[0, 0] == pytest.approx(sum(capped**2), rel=0.02)


def test_only_listeners_whose_week_is_over_count_for_returning():
    make_running()
    expose(make_listener(), at=NOW)
    expose(make_listener(), at=NOW + 3 * DAY)
    services.roll_up(at=NOW + 8 * DAY)
    rows = CohortMoments.objects.filter(metric__key="return_7d")
    assert sum(row.n for row in rows) == 1
    assert sum(row.n for row in CohortMoments.objects.filter(metric__key="mean_rating")) == 2


def test_days_observed_are_the_denominator_of_plays_per_day():
    make_running()
    listener = make_listener()
    expose(listener, at=NOW)
    services.apply_events([feedback(listener, "play", at=NOW) for _ in range(6)])
    services.roll_up(at=NOW + 2 * DAY)
    row = CohortMoments.objects.get(metric__key="plays_per_day")
    assert (row.sum_m, row.sum_d, row.sum_m_d, row.sum_d_d) == (6, 3, 18, 9)


def test_a_stopped_variants_days_end_with_it():
    experiment = make_running(policies=("a", "b", "c"))
    variants, _ = play_out(30, lambda _: 3.5)
    services.stop_variant(experiment.variants.get(key="b"), reason="harm", at=NOW + 2 * DAY)
    services.roll_up(at=NOW + 9 * DAY)
    stored = CohortMoments.objects.added("metric__key", "variant__key")
    listeners = Counter(variants.values())
    days = {key: stored["plays_per_day", key].sums[1] / n for key, n in listeners.items()}
    assert days == {"a": 10, "b": 3, "c": 10}
    assert stored["return_7d", "a"].n == listeners["a"]
    assert ("return_7d", "b") not in stored


def test_the_verdict_speaks_of_the_intervals_that_the_page_shows():
    """Also when a variant was stopped, which both still correct for."""
    experiment = make_running(planned_listeners=300, policies=("a", "b", "c"))
    play_out(300, lambda variant: 3.9 if variant == "b" else 3.0)
    services.stop_variant(experiment.variants.get(key="c"), reason="dull", at=NOW + 2 * DAY)
    services.roll_up(at=NOW + 8 * DAY)
    found = reports.report(experiment, at=NOW + 8 * DAY, options=Options())
    (goal,) = (r for r in found.results if (r.role, r.variant.key) == ("goal", "b"))
    shown = f"({goal.interval.low:+.1%} to {goal.interval.high:+.1%}, n = {goal.lift.n})"
    phase = experiment.phases.get()
    assert (phase.verdict, phase.verdict_variant) == ("ship", "b")
    assert shown in phase.verdict_words


def test_the_planned_end_narrows_the_interval_of_that_day_and_of_no_day_before():
    experiment = make_running(planned_listeners=100, method="hybrid")
    play_out(100, lambda _: 3.5)

    def intervals(at):
        services.roll_up(at=at)
        options = Options(method=Method.HYBRID)
        (line,) = reports.report(experiment, at=at, options=options).trend
        return [(between.low, between.high) for _, _, between in line.points]

    (then,) = intervals(NOW + DAY)
    first, last = intervals(NOW + 7 * DAY)
    assert first == then
    assert last[1] - last[0] < first[1] - first[0]


def test_a_roll_up_cut_off_in_the_middle_is_taken_up_where_it_stopped(monkeypatch):
    make_running()
    play_out(20, lambda _: 3.5)
    real, calls = rollup.roll_up_metric, []

    def dies_on_the_third(phase, metric, *, as_of):
        calls.append(metric.key)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(phase, metric, as_of=as_of)

    monkeypatch.setattr(rollup, "roll_up_metric", dies_on_the_third)
    with pytest.raises(KeyboardInterrupt):
        services.roll_up(at=NOW + DAY)
    done = RollUpStep.objects.exclude(finished_at=None).count()
    assert done == 3
    finished = services.roll_up(at=NOW + DAY + timedelta(hours=1))
    assert RollUp.objects.count() == 1
    assert finished.as_of == NOW + DAY
    assert finished.finished_at is not None
    assert calls[3] == calls[2]
    assert len(calls) == RollUpStep.objects.filter(kind="metric").count() + 1


def test_rolling_up_twice_changes_nothing_but_the_looks():
    experiment = make_running()
    play_out(30, lambda _: 3.5)
    services.roll_up(at=NOW + DAY)
    before = list(CohortMoments.objects.order_by("pk").values_list("metric", "variant", "sum_m"))
    services.roll_up(at=NOW + DAY + timedelta(hours=1))
    after = list(CohortMoments.objects.order_by("pk").values_list("metric", "variant", "sum_m"))
    assert sorted(before) == sorted(after)
    assert experiment.phases.get().looks == 2
    assert TrendPoint.objects.filter(metric__key="mean_rating").count() == 2


def test_exposures_are_counted_by_variant_and_fall_back():
    make_running()
    for fallback in (True, False, False):
        expose(make_listener(), fallback=fallback, device="tv")
    services.roll_up(at=NOW + DAY)
    rows = ExposureCount.objects.all()
    assert sum(row.n for row in rows) == 3
    assert sum(row.fallbacks for row in rows) == 1
    assert {row.segment for row in rows} == {"returning/tv"}


def test_a_known_difference_ends_in_shipping_the_better_variant():
    experiment = make_running(planned_listeners=300, smallest_effect=0.05)
    play_out(300, lambda variant: 3.0 if variant == "a" else 3.9)
    services.roll_up(at=NOW + 8 * DAY)
    phase = experiment.phases.get()
    assert (phase.verdict, phase.verdict_variant) == ("ship", "b")
    assert "b changes mean_rating by +" in phase.verdict_words
    assert services.default_policy() == "neural_cf"


def test_shipping_by_itself_is_a_switch():
    experiment = make_running(planned_listeners=300, ships_by_itself=True)
    play_out(300, lambda variant: 3.0 if variant == "a" else 3.9)
    services.roll_up(at=NOW + 8 * DAY)
    experiment.refresh_from_db()
    assert experiment.status == "stopped"
    assert services.default_policy() == "b"
    assert "shipped" in experiment.history.first().history_change_reason


def test_no_difference_keeps_running_and_says_how_long():
    experiment = make_running(planned_listeners=1000)
    play_out(200, lambda _: 3.5)
    services.roll_up(at=NOW + 8 * DAY)
    phase = experiment.phases.get()
    assert phase.verdict == "keep running"
    assert "800 more listeners" in phase.verdict_words


def test_a_crossed_guardrail_stops_the_loser_by_itself_and_says_so():
    experiment = make_running(planned_listeners=400)
    play_out(300, lambda v: 3.0 if v == "a" else 3.9, latency_of=lambda v: 10 if v == "a" else 30)
    services.roll_up(at=NOW + timedelta(hours=3))
    experiment.refresh_from_db()
    loser = experiment.variants.get(key="b")
    assert loser.stopped_at == NOW + timedelta(hours=3)
    assert "guardrail latency_ms" in loser.stop_reason
    assert experiment.status == "stopped"
    assert experiment.phases.get().verdict == "roll back"
    assert loser.history.first().history_user is None


def test_a_broken_split_is_unhealthy_whatever_the_result():
    experiment = make_running(planned_listeners=300)
    variants, _ = play_out(300, lambda v: 3.0 if v == "a" else 3.9)
    lost = [pk for pk, key in variants.items() if key == "a"][40:]
    Exposure.objects.filter(listener__in=lost).delete()
    services.roll_up(at=NOW + 8 * DAY)
    phase = experiment.phases.get()
    assert phase.verdict == "unhealthy"
    assert "does not fit the weights" in phase.verdict_words


def test_a_hybrid_test_keeps_what_it_said_at_the_planned_end():
    experiment = make_running(planned_listeners=100, method="hybrid")
    play_out(100, lambda _: 3.5)
    services.roll_up(at=NOW + 7 * DAY)
    phase = experiment.phases.get()
    assert phase.planned_end_at == NOW + 7 * DAY
    before = judging.current_moments(phase)
    play_out(50, lambda v: 1.0 if v == "a" else 5.0, at=NOW + 7.5 * DAY, seed=2)
    services.roll_up(at=NOW + 9 * DAY)
    after = judging.current_moments(experiment.phases.get())
    guardrails = set(Metric.objects.filter(key__in=phase.guardrails).values_list("pk", flat=True))
    counts = {key: (moments.n, after[key].n) for key, moments in before.items()}
    assert after.keys() == before.keys()
    assert all(n == m for (metric, _), (n, m) in counts.items() if metric not in guardrails)
    assert all(n < m for (metric, _), (n, m) in counts.items() if metric in guardrails)


@pytest.mark.parametrize("method", ["fixed", "hybrid"])
def test_harm_that_comes_after_the_planned_end_stops_the_variant(method):
    experiment = make_running(planned_listeners=100, method=method)
    variants, _ = play_out(200, lambda _: 3.5)
    services.roll_up(at=NOW + 7 * DAY)
    assert experiment.phases.get().verdict == "review"
    slow = [Listener(pk=pk) for pk, variant in variants.items() if variant == "b"]
    services.apply_events([slate(listener, at=NOW + 8 * DAY, latency_ms=90) for listener in slow])
    services.roll_up(at=NOW + 9 * DAY)
    assert experiment.phases.get().verdict == "roll back"
    assert experiment.variants.get(key="b").stopped_at == NOW + 9 * DAY
