from datetime import date, timedelta
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.charts import Line, interval_bar, line_chart, nice_ticks, spread

DAYS = [date(2026, 3, 1) + timedelta(days=k) for k in range(3)]
SVG = "{http://www.w3.org/2000/svg}"


def parse(svg):
    return ElementTree.fromstring(svg)  # noqa: S314 - our own text


def test_a_chart_is_described_and_labels_its_lines():
    line = Line("neural <b>", "strategy--neural_cf", list(zip(DAYS, [1.0, 5.0, 9.0], strict=True)))
    root = parse(line_chart([line], title="Listeners & more", description="See the table."))
    assert root.get("role") == "img"
    described = [root.find(name) for name in ("title", "desc")]
    assert [node.text for node in described] == ["Listeners & more", "See the table."]
    assert root.get("aria-labelledby").split() == [node.get("id") for node in described]
    assert "neural <b>" in [text.text for text in root.iter("text")]


def test_lines_end_where_their_values_are():
    rising = Line("up", "", list(zip(DAYS, [0.0, 5.0, 10.0], strict=True)))
    root = parse(line_chart([rising], title="t", description="d"))
    points = [
        tuple(map(float, p.split(","))) for p in root.find(".//polyline").get("points").split()
    ]
    heights = [y for _, y in points]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)


def test_one_day_is_a_mark_with_its_interval():
    lone = Line("b", "", [(DAYS[0], 1.0)], band=[(-1.0, 3.0)])
    root = parse(line_chart([lone], title="t", description="d"))
    assert root.find(".//path[@class='interval']") is not None
    assert root.find(".//circle[@class='mark']") is not None


def test_an_endless_interval_does_not_break_the_scale():
    line = Line("b", "", [(DAYS[0], 1.0), (DAYS[1], 2.0)], band=[(-float("inf"), float("inf"))] * 2)
    assert "nan" not in line_chart([line], title="t", description="d")


def test_nothing_to_draw_is_no_chart():
    assert line_chart([Line("a", "", [])], title="t", description="d") == ""


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


@given(st.lists(st.floats(12, 202), max_size=8).map(sorted))
def test_labels_never_overlap_and_keep_their_order(positions):
    moved = spread(positions, gap=15)
    assert all(b - a >= 15 - 1e-9 for a, b in pairwise(moved))
    assert not moved or moved[-1] <= 202 + 1e-9
