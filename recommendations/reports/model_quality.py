"""How good a version is, from what its training measured, and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from recommendations.models import ModelVersion


@dataclass(frozen=True)
class CalibrationPoint:
    """Held-out responses with about the same confidence.

    Attributes:
        predicted: their mean confidence, 0 to 1.
        observed: share within one star of the prediction, 0 to 1.
        n: how many they are.
    """

    predicted: float
    observed: float
    n: int


@dataclass(frozen=True)
class Quality:
    """What was measured of a version; None where its training did not measure it.

    Attributes:
        mae: mean absolute error of the expected rating, in stars of 1 to 5.
        ndcg: NDCG@10 of this version as a challenger, on the newest responses.
        champion_ndcg: of the version that served then, on the same listeners.
        calibration_error: expected calibration error of the confidence.
        first_stage_recall: share of the network's best 100 tracks that a first stage finds, in a
            catalogue too large to score whole.
        cells_recall: share of the scan's best 100 that its cells hold, where only some are looked
            at.
        calibration: the curve, rising in `predicted`.
    """

    mae: float | None
    ndcg: float | None
    champion_ndcg: float | None
    calibration_error: float | None
    first_stage_recall: float | None
    cells_recall: float | None
    calibration: tuple[CalibrationPoint, ...]


def of(version: ModelVersion) -> Quality:
    """Return what was measured of a version."""
    metrics, comparison = version.metrics, version.comparison
    curve = metrics.get("reliability") or {"stated": (), "observed": (), "counts": ()}
    of_preference = metrics.get("mae")  # of (rating - 1) / 4
    return Quality(
        mae=None if of_preference is None else STARS_PER_PREFERENCE * of_preference,
        ndcg=comparison.get("challenger"),
        champion_ndcg=comparison.get("champion"),
        calibration_error=metrics.get("expected_calibration_error"),
        first_stage_recall=metrics.get("first_stage_recall@100"),
        cells_recall=metrics.get("cells_recall@100"),
        calibration=tuple(
            CalibrationPoint(*point)
            for point in zip(curve["stated"], curve["observed"], curve["counts"], strict=True)
        ),
    )


STARS_PER_PREFERENCE = 4

_SIZE, _LEFT, _TOP, _BOTTOM = 300, 44, 10, 34


def calibration_chart(quality: Quality) -> SafeString:
    """Return the curve against the diagonal of honesty; empty without points."""
    points = [(point.predicted, point.observed) for point in quality.calibration]
    return _unit_square(
        points,
        title="Share within one star against the confidence that was promised",
        x_title="promised",
        y_title="kept",
    )


def lorenz_chart(held: Sequence[float]) -> SafeString:
    """Return the Lorenz curve of exposure against the diagonal of equality; empty without one."""
    steps = max(len(held) - 1, 1)
    return _unit_square(
        [(i / steps, share) for i, share in enumerate(held)],
        title="Share of places on lists held by the least shown share of tracks",
        x_title="share of tracks, least shown first",
        y_title="share of places",
        dots=False,
    )


def _unit_square(
    points: Sequence[tuple[float, float]],
    *,
    title: str,
    x_title: str,
    y_title: str,
    dots: bool = True,
) -> SafeString:
    if not points:
        return SafeString("")

    def x(value: float) -> str:
        return f"{_LEFT + value * _SIZE:.1f}"

    def y(value: float) -> str:
        return f"{_TOP + (1 - value) * _SIZE * 0.62:.1f}"

    grid = format_html_join(
        "",
        '<path class="grid" d="M{} {}H{}"/><text x="{}" y="{}" text-anchor="end">{}</text>'
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        (
            (
                x(0),
                y(tick),
                x(1),
                _LEFT - 6,
                float(y(tick)) + 4,
                words,
                x(tick),
                float(y(0)) + 16,
                words,
            )
            for tick, words in ((0.0, "0"), (0.5, "50 %"), (1.0, "100 %"))
        ),
    )
    marks = format_html_join(
        "",
        '<circle class="mark" cx="{}" cy="{}" r="3.5"/>',
        ((x(a), y(b)) for a, b in points) if dots else (),
    )
    return format_html(
        '<svg viewBox="0 0 380 {}" role="img" aria-label="{}">{}'
        '<path class="zero" d="M{} {}L{} {}"/>'
        '<g class="strategy--other"><polyline class="series" points="{}"/>{}</g>'
        '<text x="{}" y="{}" text-anchor="middle">{}</text><text x="{}" y="{}">{}</text></svg>',
        _TOP + _SIZE * 0.62 + _BOTTOM,
        title,
        grid,
        x(0),
        y(0),
        x(1),
        y(1),
        " ".join(f"{x(a)},{y(b)}" for a, b in points),
        marks,
        x(0.5),
        float(y(0)) + 31,
        x_title,
        _LEFT + 4,
        _TOP + 10,
        y_title,
    )
