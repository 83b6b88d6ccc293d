from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicrec.chart_places import nice_ticks, spread
from musicrec.charts import (
    WIDTH,
    Interval,
    Series,
    interval_bar,
    interval_rows,
    line_chart,
    split_bar,
)

DAYS = [date(2026, 3, 1) + timedelta(days=k) for k in range(3)]
SVG = "{http://www.w3.org/2000/svg}"


def parse(svg):
    return ElementTree.fromstring(svg)  # noqa: S314 - our own text


def test_a_chart_is_described_and_labels_its_lines():
    line = Series("neural <b>", list(zip(DAYS, [1.0, 5.0, 9.0], strict=True)), "neural_cf")
    root = parse(line_chart([line], title="Listeners & more", description="See the table."))
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Listeners & more"
    assert root.findtext("desc") == "See the table."
    assert "neural <b>" in [text.text for text in root.iter("text")]


def test_lines_end_where_their_values_are():
    rising = Series("up", list(zip(DAYS, [0.0, 5.0, 10.0], strict=True)))
    root = parse(line_chart([rising], title="t", description="d"))
    points = [
        tuple(map(float, p.split(","))) for p in root.find(".//polyline").get("points").split()
    ]
    heights = [y for _, y in points]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)


def test_one_day_is_a_mark_with_its_interval():
    lone = Series("b", [(DAYS[0], 1.0)], band=[(-1.0, 3.0)])
    root = parse(line_chart([lone], title="t", description="d"))
    assert root.find(".//path[@class='interval']") is not None
    assert root.find(".//circle[@class='mark']") is not None


def test_an_endless_interval_does_not_break_the_scale():
    line = Series("b", [(DAYS[0], 1.0), (DAYS[1], 2.0)], band=[(-float("inf"), float("inf"))] * 2)
    assert "nan" not in line_chart([line], title="t", description="d")


def test_nothing_to_draw_is_no_chart():
    assert line_chart([Series("a", [])], title="t", description="d") == ""
    assert interval_rows([Interval("a", None)], title="t", unit="u") == ""
    assert split_bar(("a", 0), ("b", 0), title="t") == ""


def test_times_within_a_day_are_told_by_the_clock():
    hours = [datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in (9, 15)]
    lines = [Series("a", [(hour, 1.0) for hour in hours])]
    texts = [text.text for text in parse(line_chart(lines, title="t")).iter("text")]
    assert {"09:00", "15:00"} <= set(texts)


def test_limits_hold_the_axis():
    lines = [Series("a", [(DAYS[0], 40.0), (DAYS[1], 45.0)])]
    chart = parse(line_chart(lines, title="t", unit=" %", limits=(0, 100)))
    texts = [text.text for text in chart.iter("text")]
    assert {"0 %", "100 %"} <= set(texts)


def test_an_interval_is_drawn_to_scale():
    rows = [Interval("a", 0.5, 0.25, 0.75), Interval("b", 0.95, 0.9, 1.0)]
    first, second = (
        [float(n) for n in path.get("d")[1:].replace("H", " ").split()]
        for path in parse(interval_rows(rows, title="t", unit="u")).iter("path")
        if path.get("class") == "interval"
    )
    assert (first[2] - first[0]) / (second[2] - second[0]) == pytest.approx(5, rel=0.02)
    assert max(second) <= WIDTH


def test_what_a_name_contains_cannot_break_out():
    name = '"><script>'
    rows = [Interval(name, 0.5, 0.4, 0.6, strategy=name)]
    text = interval_rows(rows, title=name, unit="u")
    assert "<script>" not in text
    parse(text)


def test_an_interval_beyond_the_edge_gets_an_arrow():
    whole = parse(interval_bar(0.1, -0.1, 0.3, reach=0.5, tone="good", words="w"))
    cut = parse(interval_bar(0.1, -0.1, 0.9, reach=0.5, tone="", words="w"))
    marks = [len(root.findall(".//path[@class='interval']")) for root in (whole, cut)]
    assert marks == [1, 2]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_enclose_the_values_and_are_few(low, width):
    ticks = nice_ticks(low, low + width)
    slack = 1e-6 * max(abs(low), width)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= low + width - slack
    assert 2 <= len(ticks) <= 9


@given(st.lists(st.floats(12, 202), max_size=8))
def test_labels_never_overlap_keep_their_order_and_stay_inside(places):
    moved = spread(places, gap=15, low=12, high=202)
    order = sorted(range(len(places)), key=places.__getitem__)
    assert all(moved[b] - moved[a] >= 15 - 1e-9 for a, b in pairwise(order))
    assert all(12 - 1e-9 <= place <= 202 + 1e-9 for place in moved)
