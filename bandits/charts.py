"""Charts of a report as SVG, drawn here so that a page needs no script.

All are 360 units wide, so that text keeps its size from a phone to a column of a wide page.
Classes are those of the console's stylesheet; an arm has a sign as well as a colour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

WIDTH = 360
_LEFT, _RIGHT = 12, 348
_ROW = 40

# Drawn around (0, 0), about 10 units across.
_SIGNS = {
    "neural_cf": '<circle r="5"/>',
    "content_based": '<path d="M-4.5-4.5h9v9h-9z"/>',
    "hybrid_ensemble": '<path d="M0-6 6 0 0 6-6 0z"/>',
    "trending": '<path d="M0-5.5 5.5 4.5h-11z"/>',
    "discovery": '<path d="M0-7 1.8-2.3 6.8-2 2.9 1.1 4.2 6 0 3.2-4.2 6-2.9 1.1-6.8-2-1.8-2.3z"/>',
}
_OTHER_SIGN = '<path d="M-2-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z"/>'


@dataclass(frozen=True)
class Interval:
    """One row of a chart: a value with its interval, or why there is none."""

    arm: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


def intervals(
    rows: Sequence[Interval],
    *,
    title: str,
    unit: str,
    zero: bool = False,
    within: Sequence[float] = (),
) -> SafeString:
    """Return values with their intervals, one row per arm, on one axis.

    Args:
        rows: from top to bottom.
        title: for those who cannot see it.
        unit: of the axis.
        zero: show 0 with a line, as for differences; otherwise the axis spans what is drawn.
        within: further numbers that the axis holds, so that charts side by side share it.
    """
    numbers = [n for row in rows for n in (row.value, row.low, row.high) if n is not None]
    if not numbers:
        return SafeString("")
    numbers += [*within, *([0.0] if zero else [])]
    low, high = _round_span(min(numbers), max(numbers))
    bottom = 8 + _ROW * len(rows)

    def x(value: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * (value - low) / (high - low), 1)

    parts = [_axis(low, high, x, bottom, unit, signed=zero)]
    if zero:
        parts.append(format_html('<path class="zero" d="M{} 4V{}"/>', x(0), bottom))
    for number, row in enumerate(rows):
        parts.append(_interval_row(row, 8 + _ROW * number, x, signed=zero))
    return _svg(parts, height=bottom + 32, title=title)


def lines(points: Sequence[tuple[datetime, Mapping[str, float]]], *, title: str) -> SafeString:
    """Return one line per arm over time, from 0 to 100 %, named where it ends.

    Needs two points in time; with fewer returns an empty string.
    """
    if len(points) < 2:
        return SafeString("")
    top, bottom, right = 12, 172, 250
    start, end = points[0][0], points[-1][0]
    seconds = (end - start).total_seconds() or 1.0

    def x(at: datetime) -> float:
        return round(36 + (right - 36) * (at - start).total_seconds() / seconds, 1)

    def y(share: float) -> float:
        return round(bottom - (bottom - top) * share, 1)

    parts = [
        format_html(
            '<path class="grid" d="M36 {0}H{1}"/><text x="30" y="{2}" '
            'text-anchor="end">{3} %</text>',
            y(share),
            right,
            y(share) + 4,
            round(100 * share),
        )
        for share in (0.0, 0.5, 1.0)
    ]
    same_day = start.date() == end.date()
    style = "%H:%M" if same_day else "%-d %b"
    parts += [
        format_html(
            '<text x="{}" y="{}" text-anchor="{}">{}</text>',
            place,
            bottom + 18,
            anchor,
            at.strftime(style),
        )
        for place, anchor, at in ((36, "start", start), (right, "end", end))
    ]
    arms = sorted({arm for _, shares in points for arm in shares})
    last = points[-1][1]
    labels = _spread([(arm, y(last.get(arm, 0.0))) for arm in arms], gap=15, low=top, high=bottom)
    for arm in arms:
        path = " ".join(
            f"{'M' if i == 0 else 'L'}{x(at)} {y(shares[arm])}"
            for i, (at, shares) in enumerate((a, s) for a, s in points if arm in s)
        )
        parts.append(
            format_html(
                '<g class="strategy--{}"><path class="series" d="{}"/>'
                '<g class="mark" transform="translate({} {})">{}</g>'
                '<text class="label" x="{}" y="{}">{}</text></g>',
                arm,
                path,
                right + 10,
                labels[arm],
                _glyph(arm),
                right + 20,
                labels[arm] + 4,
                arm,
            )
        )
    return _svg(parts, height=bottom + 26, title=title)


def split(explored: int, exploited: int, *, title: str) -> SafeString:
    """Return one bar cut into exploration and exploitation."""
    total = explored + exploited
    if total == 0:
        return SafeString("")
    cut = round(_LEFT + (_RIGHT - _LEFT) * exploited / total, 1)
    parts = [
        format_html(
            '<rect class="mark" x="{0}" y="26" width="{1}" height="18"/>'
            '<rect class="band" x="{2}" y="26" width="{3}" height="18"/>'
            '<text class="label" x="{0}" y="18">best guess {4}</text>'
            '<text class="label" x="{5}" y="18" text-anchor="end">another arm {6}</text>',
            _LEFT,
            max(round(cut - _LEFT - 1, 1), 0),
            cut,
            round(_RIGHT - cut, 1),
            f"{exploited / total:.0%}",
            _RIGHT,
            f"{explored / total:.0%}",
        )
    ]
    return _svg(parts, height=52, title=title)


def of_report(report: Mapping[str, Any]) -> dict[str, SafeString]:
    """Return the page's charts by name; an empty string where there is nothing to draw."""
    arms = [arm for arm in report["arms"] if arm["status"] != "retired"]
    rewards = [
        Interval(
            arm["arm"],
            arm["mean_reward"],
            arm["mean_reward_low"],
            arm["mean_reward_high"],
            f"{arm['rewarded']} rewards" if arm["rewarded"] else "no reward yet",
        )
        for arm in arms
    ]
    off_policy = [
        Interval(
            arm["arm"],
            answer.get("advantage"),
            answer.get("advantage_low"),
            answer.get("advantage_high"),
            f"worth {answer['effective_sample_size']:.0f} decisions"
            if "value" in answer
            else "not enough in the log",
        )
        for arm in arms
        if (answer := report["off_policy"]["arms"].get(arm["arm"]))
    ]
    exploration = report["exploration"]
    return {
        "rewards": intervals(rewards, title="Mean reward by arm", unit="mean reward"),
        "off_policy": intervals(
            off_policy,
            title="Each arm always, against the log",
            unit="difference in reward per list",
            zero=True,
        ),
        "over_time": lines(
            [
                (datetime.fromisoformat(point["at"]), point["probability_best"])
                for point in report["over_time"]
            ],
            title="Probability of being the best arm over time",
        ),
        "exploration": split(exploration["explored"], exploration["exploited"], title="Exploration")
        if exploration
        else SafeString(""),
    }


def of_situations(report: Mapping[str, Any]) -> list[SafeString]:
    """Return what is believed of each arm in each situation, all on one axis."""
    order = [arm["arm"] for arm in report["arms"]]
    situations = report["situations"]
    ends = [
        belief["expected_reward"] + side * belief["sd"]
        for situation in situations
        for belief in situation["arms"].values()
        for side in (-1, 1)
    ]
    return [
        intervals(
            [
                Interval(
                    arm,
                    belief["expected_reward"],
                    belief["expected_reward"] - belief["sd"],
                    belief["expected_reward"] + belief["sd"],
                    f"best with {belief['probability_best']:.0%}",
                )
                for arm in order
                if (belief := situation["arms"].get(arm))
            ],
            title=f"Expected reward {situation['label']}",
            unit="expected reward",
            within=ends,
        )
        for situation in situations
    ]


def _interval_row(row: Interval, top: float, x: Any, *, signed: bool) -> SafeString:
    number = ""
    mark = SafeString("")
    if row.value is not None:
        number = f"{row.value:+.3f}" if signed else f"{row.value:.3f}"
        mark = format_html(
            '<path class="interval" d="M{} {}H{}"/><g class="mark" transform="translate({} {})">'
            "{}</g>",
            x(row.low if row.low is not None else row.value),
            top + 26,
            x(row.high if row.high is not None else row.value),
            x(row.value),
            top + 26,
            _glyph(row.arm),
        )
    return format_html(
        '<g class="strategy--{}"><text class="label" x="{}" y="{}">{}</text>{}</g>'
        '<text x="{}" y="{}" text-anchor="end">{}<tspan class="label">{}</tspan></text>',
        row.arm,
        _LEFT,
        top + 12,
        row.arm,
        mark,
        _RIGHT,
        top + 12,
        f"{row.note} " if number else row.note,
        number,
    )


def _axis(low: float, high: float, x: Any, bottom: float, unit: str, *, signed: bool) -> SafeString:
    ticks = [low, (low + high) / 2, high]
    anchors = ("start", "middle", "end")
    marks = format_html_join(
        "",
        '<path class="grid" d="M{0} 4V{1}"/><text x="{0}" y="{2}" text-anchor="{3}">{4}</text>',
        (
            (x(tick), bottom, bottom + 13, anchor, f"{tick:+.2f}" if signed else f"{tick:.2f}")
            for tick, anchor in zip(ticks, anchors, strict=True)
        ),
    )
    return format_html(
        '{}<text x="{}" y="{}" text-anchor="middle">{}</text>',
        marks,
        (_LEFT + _RIGHT) / 2,
        bottom + 27,
        unit,
    )


def _round_span(low: float, high: float) -> tuple[float, float]:
    """Return ends that hold both, with a middle that is a round number too."""
    step = 0.05 if high - low > 0.05 else 0.01
    bottom, top = int(low // step), int(high // step) + 1
    top += (top - bottom) % 2
    return round(step * bottom, 2), round(step * top, 2)


def _spread(
    places: Iterable[tuple[str, float]], *, gap: float, low: float, high: float
) -> dict[str, float]:
    """Return label heights in the same order, at least `gap` apart, within low to high."""
    ordered = sorted(places, key=lambda place: place[1])
    heights: list[float] = []
    for _, height in ordered:
        heights.append(max(height, heights[-1] + gap) if heights else max(height, low))
    for i in range(len(heights) - 1, -1, -1):
        limit = high if i == len(heights) - 1 else heights[i + 1] - gap
        heights[i] = round(min(heights[i], limit), 1)
    return {arm: height for (arm, _), height in zip(ordered, heights, strict=True)}


def _glyph(arm: str) -> SafeString:
    return mark_safe(_SIGNS.get(arm, _OTHER_SIGN))  # noqa: S308 - constants of this module


def _svg(parts: Iterable[SafeString], *, height: float, title: str) -> SafeString:
    return format_html(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        WIDTH,
        height,
        title,
        format_html_join("", "{}", ((part,) for part in parts)),
    )
