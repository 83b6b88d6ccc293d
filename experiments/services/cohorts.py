"""From per-listener totals to sums, squares and cross products by variant, day and segment."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Sum

from experiments.core.intervals import Method
from experiments.core.measures import LISTENERS, OBSERVED_DAYS
from experiments.models import CohortMoments, ExposureCount, Metric, Phase, TrendPoint
from experiments.models.reporting import COLUMNS

# One pass, no join: the columns repeat what the exposure says.  `date_bin` cuts days of UTC as
# AT TIME ZONE would, which looks the zone up by its name for every row.
_GROUPS = """
SELECT variant_id, date_bin('1 day', exposed_at, '2000-01-01 00:00+00'), segment, count(*), {sums}
FROM experiments_listenertotal
WHERE phase_id = %(phase)s AND metric_id = %(metric)s AND exposed_at <= %(until)s
GROUP BY 1, 2, 3
"""
_COLUMN_OF = {
    "m": "numerator",
    "d": "denominator",
    "pm": "pre_numerator",
    "pd": "pre_denominator",
}
# Where the denominator is structural, only what does not contain it has to be summed.
_NUMERATOR_COLUMNS = ("sum_m", "sum_pm", "sum_m_m", "sum_m_pm", "sum_pm_pm")


def _percentile(column: str) -> str:
    return (
        f"percentile_cont(%(share)s) WITHIN GROUP (ORDER BY {column}) FILTER (WHERE {column} > 0)"
    )


_CAPS = """
SELECT {percentiles} FROM experiments_listenertotal
WHERE phase_id = %(phase)s AND metric_id = %(metric)s AND exposed_at <= %(until)s
"""


def roll_up_metric(phase: Phase, metric: Metric, *, as_of: datetime) -> None:
    """Replace the sums of one metric of one phase, and its point of the trend for the day."""
    rows = [
        CohortMoments(
            phase=phase,
            metric=metric,
            variant_id=variant_id,
            exposed_on=day,
            segment=segment,
            **values,
        )
        for (variant_id, day, segment), values in cohort_sums(phase, metric, as_of=as_of).items()
    ]
    CohortMoments.objects.filter(phase=phase, metric=metric).delete()
    CohortMoments.objects.bulk_create(rows, batch_size=1000)
    # What a test that speaks once has said stays: later points would be later looks.
    if phase.experiment.method != Method.SEQUENTIAL and phase.planned_end_at is not None:
        return
    added = {f"total_{name}": Sum(name) for name in COLUMNS}
    fresh = CohortMoments.objects.filter(phase=phase, metric=metric).order_by()
    points = [
        TrendPoint(
            phase=phase,
            metric=metric,
            variant_id=row["variant_id"],
            as_of=as_of.date(),
            **{name: row[f"total_{name}"] for name in COLUMNS},
        )
        for row in fresh.values("variant_id").annotate(**added)
    ]
    TrendPoint.objects.bulk_create(
        points,
        update_conflicts=True,
        unique_fields=["phase", "metric", "variant", "as_of"],
        update_fields=list(COLUMNS),
    )


def cohort_sums(
    phase: Phase, metric: Metric, *, as_of: datetime
) -> dict[tuple[int, date, str], dict[str, float]]:
    """Return the sums of a metric by (variant id, day of exposure, segment).

    Listeners without a row did nothing that counts: they add to `n`, which comes from the counts
    of exposures, and to the sums of a denominator that does not depend on what they did.  Of a
    metric for mature listeners only, the days count whose last listener's window was over before
    the variant or the phase was stopped.
    """
    counts = ExposureCount.objects.filter(phase=phase)
    until = as_of
    mature_after = None
    if metric.mature_only and metric.window_hours is not None:
        mature_after = timedelta(hours=metric.window_hours)
        mature = (as_of - mature_after).date()
        counts = counts.filter(exposed_on__lt=mature)
        until = datetime.combine(mature, datetime.min.time(), tzinfo=UTC)
    is_structural = metric.denominator in (LISTENERS, OBSERVED_DAYS)
    names = _NUMERATOR_COLUMNS if is_structural else COLUMNS[1:]
    given = {"phase": phase.pk, "metric": metric.pk, "until": until}
    found: dict[tuple[int, date, str], dict[str, float]] = {
        (row.variant_id, row.exposed_on, row.segment): {
            "n": row.n,
            **dict.fromkeys(COLUMNS[1:], 0.0),
        }
        for row in counts
    }
    with connection.cursor() as cursor:
        caps = _caps(cursor, metric, given, numerators_only=is_structural)
        sums = ", ".join(f"sum({_product(name, caps)})" for name in names)
        cursor.execute(_GROUPS.format(sums=sums), given | caps)
        for variant_id, began, segment, n_rows, *values in cursor.fetchall():
            key = (variant_id, began.astimezone(UTC).date(), segment)
            cohort = found.setdefault(key, {"n": 0, **dict.fromkeys(COLUMNS[1:], 0.0)})
            # Somebody may have been exposed since the exposures were counted.
            cohort["n"] = max(cohort["n"], n_rows)
            cohort |= {name: float(value) for name, value in zip(names, values, strict=True)}
    ends = {variant: min(as_of, end or as_of) for variant, end in phase.ends().items()}
    for (variant, day, segment), cohort in list(found.items()):
        if mature_after is not None and day >= (ends[variant] - mature_after).date():
            del found[variant, day, segment]
            continue
        days = structural_denominator(metric, day, ends[variant].date())
        if days is not None:
            _set_denominator(cohort, int(cohort["n"]), days)
    return found


def _product(name: str, caps: dict[str, float | None]) -> str:
    """Return SQL for the factors of a column such as sum_m_pd, each cut at its cap, if any."""
    return " * ".join(
        _COLUMN_OF[factor]
        if caps[f"cap_{factor}"] is None
        else f"least({_COLUMN_OF[factor]}, %(cap_{factor})s)"
        for factor in name.removeprefix("sum_").split("_")
    )


def _caps(
    cursor: Any, metric: Metric, given: dict[str, Any], *, numerators_only: bool
) -> dict[str, float | None]:
    """Return the values at the metric's percentile, None for a column that has none."""
    caps: dict[str, float | None] = dict.fromkeys(("cap_m", "cap_d", "cap_pm", "cap_pd"))
    if metric.cap_percentile is None:
        return caps
    columns = {"cap_m": "numerator", "cap_pm": "pre_numerator"}
    if not numerators_only:
        columns |= {"cap_d": "denominator", "cap_pd": "pre_denominator"}
    query = _CAPS.format(percentiles=", ".join(map(_percentile, columns.values())))
    cursor.execute(query, given | {"share": metric.cap_percentile / 100})
    return caps | dict(zip(columns, cursor.fetchone(), strict=True))


def structural_denominator(metric: Metric, exposed_on: date, last: date) -> float | None:
    """Return the denominator that all of a cohort share, or None where it counts events.

    Args:
        metric: whose denominator it is.
        exposed_on: the cohort's day.
        last: the last day that counts.
    """
    if metric.denominator == LISTENERS:
        return 1.0
    if metric.denominator != OBSERVED_DAYS:
        return None
    days = (last - exposed_on).days + 1
    if metric.window_hours is not None:
        days = min(days, max(1, metric.window_hours // 24))
    return float(max(days, 1))


def _set_denominator(values: dict[str, float], n: int, days: float) -> None:
    values |= {
        "sum_d": days * n,
        "sum_m_d": days * values["sum_m"],
        "sum_d_d": days * days * n,
        "sum_d_pm": days * values["sum_pm"],
        "sum_pd": float(n),
        "sum_m_pd": values["sum_m"],
        "sum_d_pd": days * n,
        "sum_pm_pd": values["sum_pm"],
        "sum_pd_pd": float(n),
    }


_COUNTS = """
SELECT variant_id, date_bin('1 day', exposed_at, '2000-01-01 00:00+00'), segment, count(*),
       count(*) FILTER (WHERE fallback), count(*) FILTER (WHERE multiple),
       count(*) FILTER (WHERE l.is_simulated)
FROM experiments_exposure e LEFT JOIN accounts_listener l ON l.id = e.listener_id
WHERE phase_id = %s AND exposed_at <= %s
GROUP BY 1, 2, 3
"""


def count_exposures(phase: Phase, *, as_of: datetime) -> None:
    """Replace the phase's counts of exposures."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [phase.pk, as_of])
        rows = cursor.fetchall()
    ExposureCount.objects.filter(phase=phase).delete()
    ExposureCount.objects.bulk_create(
        ExposureCount(
            phase=phase,
            variant_id=variant_id,
            exposed_on=began.astimezone(UTC).date(),
            segment=segment,
            n=n,
            fallbacks=fallbacks,
            multiples=multiples,
            simulated=simulated,
        )
        for variant_id, began, segment, n, fallbacks, multiples, simulated in rows
    )
