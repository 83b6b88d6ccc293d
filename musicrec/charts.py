"""Charts as inline SVG: no script, printable, described for screen readers.

All are about 380 units wide, so that their text is still read where a page is 390 px wide.  Colours
come from classes of the console's style sheet (`static/console.css`), so that a chart follows the
theme; a strategy has a sign as well as a colour.  A chart of nothing is an empty string, so that a
template can say what is missing instead.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import isfinite

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from musicrec.chart_places import nice_ticks, spread

WIDTH, HEIGHT = 380, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 118, 12, 28  # margins of a line chart
_INSET, _ROW = 12, 40  # of interval rows
_BAR_WIDTH, _BAR_HEIGHT = 160, 20

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
class Series:
    """A named line over time, drawn in the colour and with the sign of its strategy.

    Attributes:
        name: written where the line ends.
        points: ascending in time, all dates or all datetimes.
        strategy: whose colour and sign; empty or unknown gets the neutral ones.
        band: low and high at each point, where an interval is drawn; may be infinite.
    """

    name: str
    points: Sequence[tuple[date, float]]
    strategy: str = ""
    band: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Interval:
    """One row of `interval_rows`: a value with its interval, or, in `note`, why there is none."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    strategy: str = ""


def css_class(strategy: str) -> str:
    """Return the class that gives a strategy its colour; others share a neutral one."""
    return f"strategy--{strategy}" if strategy in _SIGNS else "strategy--other"


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    description: str = "",
    unit: str = "",
    signed: bool = False,
    limits: tuple[float, float] | None = None,
) -> SafeString:
    """Return a chart of lines over time, each named where it ends; empty without any point.

    Args:
        series: the lines; those without points are left out.
        title: for those who cannot see it.
        description: for them too, for example where the numbers are.
        unit: written after the numbers of the axis.
        signed: write a plus before what is above 0.
        limits: of the axis; otherwise it spans 0 and whatever is drawn.
    """
    series = [line for line in series if line.points]
    if not series:
        return SafeString("")
    times = sorted({at for line in series for at, _ in line.points})
    bounds = [bound for line in series for pair in line.band for bound in pair if isfinite(bound)]
    values = [0.0, *(value for line in series for _, value in line.points), *bounds]
    ticks = nice_ticks(*(limits or (min(values), max(values))))
    low, high = ticks[0], ticks[-1]
    start, end = _seconds(times[0]), _seconds(times[-1])
    right = WIDTH - _RIGHT

    def x(at: date) -> float:
        if start == end:
            return (_LEFT + right) / 2
        return _LEFT + (_seconds(at) - start) / (end - start) * (right - _LEFT)

    def y(value: float) -> float:
        inside = min(max(value, low), high)
        return _TOP + (high - inside) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    grid = format_html_join(
        "",
        '<path class="{}" d="M{} {}H{}"/><text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (
                "zero" if tick == 0 and low < 0 else "grid",
                _LEFT,
                tenths(y(tick)),
                right,
                _LEFT - 8,
                tenths(y(tick) + 4),
                _tick(tick, signed=signed) + unit,
            )
            for tick in ticks
        ),
    )
    labels = spread(
        [y(line.points[-1][1]) for line in series], gap=15, low=_TOP, high=HEIGHT - _BOTTOM
    )
    drawn = format_html_join(
        "",
        '<g class="{}">{}<polyline class="series" points="{}"/>{}'
        '<g class="mark" transform="translate({} {})">{}</g>'
        '<text class="label" x="{}" y="{}">{}</text></g>',
        (
            (
                css_class(line.strategy),
                _band(line, x, y),
                " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in line.points),
                _lone_point(line, x, y),
                right + 10,
                tenths(label),
                _sign(line.strategy),
                right + 20,
                tenths(label + 4),
                line.name,
            )
            for line, label in zip(series, labels, strict=True)
        ),
    )
    style = "%H:%M" if _within_a_day(times) else "%-d %b"
    ends = [("middle", times[0])] if start == end else [("start", times[0]), ("end", times[-1])]
    days = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="{}">{}</text>',
        ((tenths(x(at)), HEIGHT - 8, anchor, at.strftime(style)) for anchor, at in ends),
    )
    return _svg(
        [grid, days, drawn],
        width=WIDTH,
        height=HEIGHT,
        title=title,
        description=description,
        kind="line-chart",
    )


def interval_rows(
    rows: Sequence[Interval],
    *,
    title: str,
    unit: str,
    zero: bool = False,
    within: Iterable[float] = (),
) -> SafeString:
    """Return values with their intervals, a row each, on one axis; empty without any value.

    Args:
        rows: from top to bottom.
        title: for those who cannot see it.
        unit: of the axis, written below it.
        zero: show 0 with a line, as for differences; otherwise the axis spans what is drawn.
        within: further numbers that the axis holds, so that charts side by side share it.
    """
    numbers = [n for row in rows for n in (row.value, row.low, row.high) if n is not None]
    if not numbers:
        return SafeString("")
    numbers += [*within, *([0.0] if zero else [])]
    ticks = nice_ticks(min(numbers), max(numbers), about=3)
    low, high = ticks[0], ticks[-1]
    bottom = 8 + _ROW * len(rows)

    def x(value: float) -> float:
        return _INSET + (WIDTH - 2 * _INSET) * (value - low) / (high - low)

    anchors = ["start", *["middle"] * (len(ticks) - 2), "end"]
    axis = format_html_join(
        "",
        '<path class="{0}" d="M{1} 4V{2}"/><text x="{1}" y="{3}" text-anchor="{4}">{5}</text>',
        (
            (
                "zero" if zero and tick == 0 else "grid",
                tenths(x(tick)),
                bottom,
                bottom + 13,
                anchor,
                _tick(tick, signed=zero),
            )
            for tick, anchor in zip(ticks, anchors, strict=True)
        ),
    )
    words = format_html(
        '<text x="{}" y="{}" text-anchor="middle">{}</text>', WIDTH / 2, bottom + 27, unit
    )
    drawn = [
        _interval_row(row, 8 + _ROW * number, x, signed=zero) for number, row in enumerate(rows)
    ]
    return _svg([axis, words, *drawn], width=WIDTH, height=bottom + 32, title=title)


def interval_bar(
    estimate: float, low: float, high: float, *, reach: float, tone: str, words: str
) -> SafeString:
    """Return a bar of an interval around its estimate; 0 is in the middle, `reach` at the edges.

    An end beyond the edge is drawn as an arrow.
    """
    middle = _BAR_HEIGHT / 2

    def x(value: float) -> float:
        share = min(max(value / reach, -1.0), 1.0) if reach > 0 else 0.0
        return _BAR_WIDTH / 2 + share * (_BAR_WIDTH / 2 - 6)

    arrows = format_html_join(
        "",
        '<path class="interval" d="M{} {}l{} -4m{} 4l{} 4"/>',
        (
            (tenths(x(end)), middle, step, -step, step)
            for end, step in ((low, 4), (high, -4))
            if abs(end) > reach
        ),
    )
    body = format_html(
        '<path class="zero" d="M{0} 0V{1}"/><g class="tone--{2}">'
        '<path class="interval" d="M{3} {4}H{5}"/>{6}'
        '<circle class="mark" cx="{7}" cy="{4}" r="4"/></g>',
        _BAR_WIDTH / 2,
        _BAR_HEIGHT,
        tone or "none",
        tenths(x(low)),
        middle,
        tenths(x(high)),
        arrows,
        tenths(x(estimate)),
    )
    return _svg([body], width=_BAR_WIDTH, height=_BAR_HEIGHT, title=words, kind="interval-bar")


def split_bar(first: tuple[str, int], second: tuple[str, int], *, title: str) -> SafeString:
    """Return one bar cut in two, each part a name and a count; empty where both counts are 0."""
    (name, count), (other_name, other_count) = first, second
    total = count + other_count
    if total == 0:
        return SafeString("")
    right = WIDTH - _INSET
    cut = _INSET + (right - _INSET) * count / total
    body = format_html(
        '<rect class="mark" x="{0}" y="26" width="{1}" height="18"/>'
        '<rect class="band" x="{2}" y="26" width="{3}" height="18"/>'
        '<text class="label" x="{0}" y="18">{4} {5}</text>'
        '<text class="label" x="{6}" y="18" text-anchor="end">{7} {8}</text>',
        _INSET,
        tenths(max(cut - _INSET - 1, 0)),
        tenths(cut),
        tenths(right - cut),
        name,
        f"{count / total:.0%}",
        right,
        other_name,
        f"{other_count / total:.0%}",
    )
    return _svg([body], width=WIDTH, height=52, title=title)


def tenths(value: float) -> str:
    """Return a coordinate; `format_html` takes text only, so that it is formatted before."""
    return f"{value:.1f}"


def _seconds(at: date) -> float:
    return at.timestamp() if isinstance(at, datetime) else at.toordinal() * 86_400.0


def _within_a_day(times: Sequence[date]) -> bool:
    first, last = times[0], times[-1]
    return (
        isinstance(first, datetime) and isinstance(last, datetime) and first.date() == last.date()
    )


def _tick(value: float, *, signed: bool) -> str:
    return f"{value:+,.6g}" if signed and value else f"{value:,.6g}"


def _sign(strategy: str) -> SafeString:
    return mark_safe(_SIGNS.get(strategy, _OTHER_SIGN))  # noqa: S308 - constants of this module


def _lone_point(
    line: Series, x: Callable[[date], float], y: Callable[[float], float]
) -> SafeString:
    """Return a dot where a line has one point only, which no stroke shows."""
    if len(line.points) > 1:
        return SafeString("")
    ((at, value),) = line.points
    return format_html(
        '<circle class="mark" cx="{}" cy="{}" r="3"/>', tenths(x(at)), tenths(y(value))
    )


def _band(line: Series, x: Callable[[date], float], y: Callable[[float], float]) -> SafeString:
    if not line.band:
        return SafeString("")
    times = [at for at, _ in line.points]
    if len(times) == 1:
        low, high = line.band[0]
        return format_html(
            '<path class="interval" d="M{} {}V{}"/>',
            tenths(x(times[0])),
            tenths(y(low)),
            tenths(y(high)),
        )
    upper = [f"{x(at):.1f},{y(high):.1f}" for at, (_, high) in zip(times, line.band, strict=True)]
    lower = [f"{x(at):.1f},{y(low):.1f}" for at, (low, _) in zip(times, line.band, strict=True)]
    return format_html('<polygon class="band" points="{}"/>', " ".join(upper + lower[::-1]))


def _interval_row(
    row: Interval, top: float, x: Callable[[float], float], *, signed: bool
) -> SafeString:
    number = ""
    mark = SafeString("")
    if row.value is not None:
        number = f"{row.value:+.3f}" if signed else f"{row.value:.3f}"
        mark = format_html(
            '<path class="interval" d="M{} {}H{}"/><g class="mark" transform="translate({} {})">'
            "{}</g>",
            tenths(x(row.low if row.low is not None else row.value)),
            top + 26,
            tenths(x(row.high if row.high is not None else row.value)),
            tenths(x(row.value)),
            top + 26,
            _sign(row.strategy),
        )
    return format_html(
        '<g class="{}"><text class="label" x="{}" y="{}">{}</text>{}</g>'
        '<text x="{}" y="{}" text-anchor="end">{}<tspan class="label">{}</tspan></text>',
        css_class(row.strategy),
        _INSET,
        top + 12,
        row.name,
        mark,
        WIDTH - _INSET,
        top + 12,
        f"{row.note} " if number else row.note,
        number,
    )


def _svg(
    parts: Iterable[SafeString],
    *,
    width: float,
    height: float,
    title: str,
    description: str = "",
    kind: str = "",
) -> SafeString:
    return format_html(
        '<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>',
        kind,
        width,
        height,
        title,
        format_html("<desc>{}</desc>", description) if description else "",
        format_html_join("", "{}", ((part,) for part in parts)),
    )
