"""Quantiles and survival: KPIs that need the rows themselves, not their sums."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis import stats
from cja_pipeline.kpis.blocks import concat
from cja_pipeline.kpis.compiler import Scope, rows_sql
from cja_pipeline.kpis.estimates import without_value
from cja_pipeline.kpis.kpi_entry import Kpi
from cja_pipeline.kpis.kpi_sources import Source
from cja_pipeline.kpis.periods import Calendar
from cja_pipeline.kpis.unit_rows import UnitRows, read_rows
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from cja_pipeline.kpis.blocks import Block


def rows_of(kpi: Kpi, source: Source, scope: Scope) -> str:
    """SELECT of the rows of one KPI: day, unit, x, event (1 but for survival) and dimensions."""
    slices = [f"kpi_{name} as {name}" for name in scope.dimensions(source)]
    numerator = kpi.expression("numerator", scope.age)
    if kpi.kind == "survival":
        values = [
            f"cast(({kpi.expression('duration', scope.age)}) as double) as x",
            f"cast(({numerator}) as double) as event",
        ]
    else:
        values = [f"cast(({numerator}) as double) as x", "cast(1 as double) as event"]
    where = kpi.expression("where", scope.age)
    condition = f" and ({where})" if where else ""
    day = f"kpi_day + {kpi.shift_days}" if kpi.shift_days else "kpi_day"
    return (
        f"select {day} as day, kpi_row, kpi_unit, {', '.join([*values, *slices])}\n"
        f"from (\n{rows_sql(source, scope)}\n) r\n"
        f"where kpi_day <= date '{scope.as_of}' - {max(kpi.maturity_days, kpi.shift_days)}{condition}"
    )


def read_kpi_rows(wh: Warehouse, kpi: Kpi, source: Source, scope: Scope, calendar: Calendar) -> UnitRows:
    """The rows of one KPI on measured days, with the measures x and event; rows without x are left out."""
    dimensions = scope.dimensions(source)
    columns = f"hash(kpi_unit) as unit, cast(day - date '{calendar.first}' as integer) as day"
    return read_rows(
        wh,
        f"select {columns}, {', '.join([*dimensions, 'x', 'event'])}\n"
        f"from (\n{rows_of(kpi, source, scope)}\n) r\n"
        f"where day >= date '{calendar.first}' and x is not null",
        dimensions,
    )


def compute_rows(
    wh: Warehouse,
    kpi: Kpi,
    source: Source,
    scope: Scope,
    calendar: Calendar,
    grains: Mapping[str, Sequence[str]],
) -> tuple[Block, list[dt.date]]:
    """All periods and slices of one KPI, and the days it has rows on.

    `grains` maps each grain to the dimensions it is split by.
    """
    import numpy as np

    rows = read_kpi_rows(wh, kpi, source, scope, calendar)
    if not rows.measures:
        return concat([]), []
    _, unit = np.unique(rows.unit, return_inverse=True)
    x, event = rows.measures
    found = []
    for grain, names in grains.items():
        starts, number = calendar.numbered(grain)
        period = number[rows.day]
        inside = period >= 0
        kept = {"x": x[inside], "unit": unit[inside], "event": event[inside]}
        for dimension in ["all", *names] if inside.any() else []:
            value = rows.labels.get(dimension, np.array(["all"], dtype=object))
            code = rows.codes[dimension][rows.slice[inside]] if dimension in rows.codes else 0
            pair, group = np.unique(period[inside] * len(value) + code, return_inverse=True)
            found.append(
                {
                    "grain": np.full(len(pair), grain, dtype=object),
                    "period_start": starts[pair // len(value)],
                    "dimension": np.full(len(pair), dimension, dtype=object),
                    "dimension_value": value[pair % len(value)],
                    **estimate_groups(kpi, group, kept),
                }
            )
    return concat(found), rows.days(calendar.first)


def estimate_groups(kpi: Kpi, group: Any, rows: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of one KPI for every group.

    Args:
        group: number of each row's group, from 0 without gaps. rows: columns unit (integer), x, event.
    """
    import numpy as np

    x, unit = np.asarray(rows["x"], dtype=float), np.asarray(rows["unit"], dtype=np.int64)
    event = np.asarray(rows["event"], dtype=float) > 0
    count = int(group.max()) + 1
    size = np.bincount(group, minlength=count).astype(float)
    pairs = np.unique(group * (unit.max() + 1) + unit)
    n = np.bincount(pairs // (unit.max() + 1), minlength=count).astype(float)
    reason = np.full(count, None, dtype=object)
    reason[n < kpi.smallest_n] = "suppressed_small_n"
    at = float(kpi.at or 0.0)
    numerator = np.full(count, np.nan)
    if kpi.kind == "survival":
        numerator = np.bincount(group, event & (x <= at), minlength=count)
        parts = [group == i for i in range(count)]
        curves = [stats.clustered_at(x[part], event[part], unit[part], at) for part in parts]
        share, low, high = np.array(curves).T
        value, low, high = 1 - share, 1 - high, 1 - low
        reason[np.isnan(value)] = "immature"
        method = "greenwood"
    elif kpi.interval == "bootstrap":
        every = [stats.quantile(x[group == i], at, unit[group == i]).value for i in range(count)]
        limits = [_bootstrap(x[group == i], at, unit[group == i]) for i in range(count)]
        value, (low, high), method = np.array(every), np.array(limits).T, "bootstrap"
    else:
        value, low, high, _ = stats.grouped_quantile(x, group, at, unit)
        method = "woodruff"
    return without_value(
        {
            "value": value,
            "numerator": numerator,
            "denominator": size,
            "n": n,
            "missing": np.zeros(count),
            "ci_low": low,
            "ci_high": high,
            "ci_method": method,
            "null_reason": reason,
        }
    )


def _bootstrap(x: Any, q: float, unit: Any) -> stats.Interval:
    import numpy as np

    _, codes = np.unique(unit, return_inverse=True)
    order = np.argsort(x, kind="stable")
    ordered, place = x[order], codes[order]

    def weighted(weights: Any) -> float:
        total = np.cumsum(weights[place])
        return float(ordered[np.searchsorted(total, q * total[-1])]) if total[-1] else float("nan")

    return stats.bootstrap(weighted, int(codes.max()) + 1)
