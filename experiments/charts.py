"""Charts as inline SVG: no script, printable, described for screen readers.

Colours come from classes of the page's style sheet, so that a chart follows the theme.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from math import isfinite

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

# Small, so that its text is still read where the page is 390 px wide.
WIDTH, HEIGHT = 380, 230
LEFT, RIGHT, TOP, BOTTOM = 44, 118, 12, 28
BAR_WIDTH, BAR_HEIGHT = 160, 20
_ids = count(1)


@dataclass(frozen=True)
class Line:
    """A named series over days; `band` holds low and high per point where an interval is drawn."""

    name: str
    css_class: str
    points: Sequence[tuple[date, float]]
    band: Sequence[tuple[float, float]] = ()


def line_chart(
    lines: Sequence[Line], *, title: str, description: str, percent: bool = False
) -> SafeString:
    """Return a chart of lines over days, each labelled at its end; empty without any point."""
    lines = [line for line in lines if line.points]
    if not lines:
        return SafeString("")
    days = sorted({day for line in lines for day, _ in line.points})
    values = [value for line in lines for _, value in line.points]
    values += [bound for line in lines for pair in line.band for bound in pair if isfinite(bound)]
    ticks = nice_ticks(min([0.0, *values]), max([0.0, *values]))
    low, high = ticks[0], ticks[-1]
    span = max((days[-1] - days[0]).days, 1)

    def x(day: date) -> float:
        if len(days) == 1:
            return (LEFT + WIDTH - RIGHT) / 2
        return LEFT + (day - days[0]).days / span * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        inside = min(max(value, low), high)
        return TOP + (high - inside) / (high - low) * (HEIGHT - TOP - BOTTOM)

    grid = format_html_join(
        "",
        '<path class="{}" d="M{} {}H{}"/><text x="{}" y="{}" text-anchor="end">{}</text>',
        [
            (
                "zero" if tick == 0 and low < 0 else "grid",
                LEFT,
                tenths(y(tick)),
                WIDTH - RIGHT,
                LEFT - 8,
                tenths(y(tick) + 4),
                f"{tick:+.3g}%" if percent and tick else f"{tick:,.6g}{'%' if percent else ''}",
            )
            for tick in ticks
        ],
    )
    labels = dict(
        zip(
            sorted(range(len(lines)), key=lambda i: y(lines[i].points[-1][1])),
            spread(sorted(y(line.points[-1][1]) for line in lines), gap=15),
            strict=True,
        )
    )
    drawn = format_html_join(
        "",
        '<g class="{}">{}{}{}<text class="{}" x="{}" y="{}">{}</text></g>',
        [
            (
                line.css_class,
                _band(line, x, y),
                format_html(
                    '<polyline class="series" points="{}"/>',
                    " ".join(f"{x(day):.1f},{y(value):.1f}" for day, value in line.points),
                ),
                format_html(
                    '<circle class="mark" cx="{}" cy="{}" r="3.5"/>',
                    tenths(x(line.points[-1][0])),
                    tenths(y(line.points[-1][1])),
                ),
                f"label {line.css_class}",
                WIDTH - RIGHT + 10,
                tenths(labels[index] + 4),
                line.name,
            )
            for index, line in enumerate(lines)
        ],
    )
    ends = [days[0]] if len(days) == 1 else [days[0], days[-1]]
    dates = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        [(tenths(x(day)), HEIGHT - 8, f"{day:%d %b}") for day in ends],
    )
    body = format_html("{}{}{}", grid, dates, drawn)
    return _svg(WIDTH, HEIGHT, title, description, body, css_class="line-chart")


def interval_bar(
    estimate: float, low: float, high: float, *, reach: float, tone: str, words: str
) -> SafeString:
    """Return a bar of an interval around its estimate; 0 is in the middle, `reach` at the edges.

    An end beyond the edge is drawn as an arrow.
    """
    middle = BAR_HEIGHT / 2

    def x(value: float) -> float:
        share = min(max(value / reach, -1.0), 1.0) if reach > 0 else 0.0
        return BAR_WIDTH / 2 + share * (BAR_WIDTH / 2 - 6)

    ends = format_html_join(
        "",
        '<path class="interval" d="M{} {}l{} -4m{} 4l{} 4"/>',
        [
            (tenths(x(end)), middle, step, -step, step)
            for end, step in ((low, 4), (high, -4))
            if abs(end) > reach
        ],
    )
    body = format_html(
        '<path class="zero" d="M{0} 0V{1}"/><g class="tone--{2}">'
        '<path class="interval" d="M{3} {4}H{5}"/>{6}'
        '<circle class="mark" cx="{7}" cy="{4}" r="4"/></g>',
        BAR_WIDTH / 2,
        BAR_HEIGHT,
        tone or "none",
        tenths(x(low)),
        middle,
        tenths(x(high)),
        ends,
        tenths(x(estimate)),
    )
    return _svg(BAR_WIDTH, BAR_HEIGHT, words, "", body, css_class="interval-bar")


def nice_ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Return round numbers, evenly spaced, whose first and last enclose `low` and `high`."""
    if high <= low:
        high = low + 1.0
    rough = (high - low) / about
    magnitude = 10.0 ** int(f"{rough:e}".split("e")[1])
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough)
    first = int(low // step)
    last = int(-(-high // step))
    return [round(step * k, 12) for k in range(first, last + 1)]


def spread(positions: Sequence[float], *, gap: float) -> list[float]:
    """Return ascending positions moved down until each is `gap` from the one before."""
    moved: list[float] = []
    for position in positions:
        moved.append(max(position, moved[-1] + gap) if moved else position)
    overflow = moved[-1] - (HEIGHT - BOTTOM) if moved else 0.0
    return [position - max(overflow, 0.0) for position in moved]


def tenths(value: float) -> str:
    """Return a coordinate; `format_html` takes text only, so that it is formatted before."""
    return f"{value:.1f}"


def _band(line: Line, x, y) -> SafeString:
    if not line.band:
        return SafeString("")
    days = [day for day, _ in line.points]
    upper = [f"{x(day):.1f},{y(high):.1f}" for day, (_, high) in zip(days, line.band, strict=True)]
    lower = [f"{x(day):.1f},{y(low):.1f}" for day, (low, _) in zip(days, line.band, strict=True)]
    if len(days) == 1:
        low, high = line.band[0]
        return format_html(
            '<path class="interval" d="M{} {}V{}"/>',
            tenths(x(days[0])),
            tenths(y(low)),
            tenths(y(high)),
        )
    return format_html('<polygon class="band" points="{}"/>', " ".join(upper + lower[::-1]))


def _svg(
    width: int,
    height: int,
    title: str,
    description: str,
    body: SafeString,
    *,
    css_class: str = "",
) -> SafeString:
    number = next(_ids)
    return format_html(
        '<svg class="{0}" viewBox="0 0 {1} {2}" role="img" aria-labelledby="experiments-title-{3}'
        '{6}"><title id="experiments-title-{3}">{4}</title>{5}{7}</svg>',
        css_class,
        width,
        height,
        number,
        title,
        format_html('<desc id="experiments-desc-{}">{}</desc>', number, description)
        if description
        else "",
        format_html(" experiments-desc-{}", number) if description else "",
        body,
    )
