import pytest
from django.db import DatabaseError, transaction

from recommendations.core.latency import percentile
from recommendations.models import RequestMinute
from recommendations.reports.traffic import traffic
from recommendations.services import request_times as module
from recommendations.services.request_times import MAX_KEYS, RequestTimes
from recommendations.tests.factories import NOW


def counted(*durations, status=200, endpoint="POST recommend", **how):
    times = RequestTimes()
    for duration in durations:
        times.add(endpoint, duration_ms=duration, status=status, at=NOW, **how)
    return times


@pytest.mark.django_db
def test_two_processes_write_into_one_row_that_adds_up():
    counted(10, 20, strategy="trending", is_fallback=True).flush()
    counted(30, 40, strategy="trending", status=503).flush()
    row = RequestMinute.objects.get()
    assert (row.n, row.n_errors, row.n_refused, row.n_fallbacks) == (4, 2, 2, 2)
    assert sum(row.buckets) == 4
    assert percentile(row.buckets, 1.0) >= 40


@pytest.mark.django_db
def test_counts_survive_a_database_that_is_away(monkeypatch):
    times = counted(10)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_ADD", "SELECT no_such_function(%s,%s,%s,%s,%s,%s,%s,%s)")
        with pytest.raises(DatabaseError), transaction.atomic():
            times.flush()
    times.add("POST recommend", duration_ms=20, status=200, at=NOW)
    times.flush()
    assert RequestMinute.objects.get().n == 2
    assert times.flush() == 0


@pytest.mark.django_db
def test_an_hour_is_read_by_endpoint_and_by_strategy():
    counted(10, 10, strategy="trending").flush()
    counted(500, strategy="neural_cf").flush()
    counted(5, endpoint="GET me").flush()
    found = traffic(at=NOW)
    assert [(t.name, t.n) for t in found.endpoints] == [("POST recommend", 3), ("GET me", 1)]
    assert [(t.name, t.n) for t in found.strategies] == [("neural_cf", 1), ("trending", 2)]
    assert found.recent_lists.n == 3
    assert found.total.n == 4
    assert 500 <= found.strategies[0].p99 <= 546


def test_rows_held_in_memory_are_bounded():
    times = RequestTimes()
    for number in range(MAX_KEYS + 50):
        times.add(f"GET {number}", duration_ms=1, status=200, at=NOW)
    assert len(times._counts) == MAX_KEYS + 1


@pytest.mark.django_db
def test_each_request_is_counted_under_its_route_and_a_list_under_its_strategy(api, tracks):
    answer = api.post("/recommend", {})
    assert answer.status_code == 200
    api.get("/tracks/t0/similar")
    api.get("/no-such-thing-4711")
    module.request_times.flush()
    rows = {row.endpoint: row for row in RequestMinute.objects.all()}
    assert rows["POST recommend"].strategy == answer.json()["strategy"]
    assert "GET tracks/<id:track_id>/similar" in rows
    assert "GET (no such address)" in rows
